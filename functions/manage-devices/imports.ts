import { ulid } from 'ulid';
import * as v from 'valibot';
import { auditRecord } from '../../shared/audit/record.ts';
import { deviceOperations } from '../../shared/devices/operations.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { importResource, organization } from '../../shared/identity/resource.ts';
import { type ImportJob, ImportState, newImport, viewOf } from '../../shared/imports/job.ts';
import { type ImportStore, importPartition } from '../../shared/imports/store.ts';
import type { Services } from './services.ts';

const PartNumber = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Uploading lists of devices and looking at what became of them. */
export function importHandlers({ imports, guard }: Pick<Services, 'imports' | 'guard'>) {
  return {
    importDevices: operation(deviceOperations.importDevices, async ({ caller, file, receivedAt }) => {
      const id = `i-${ulid(receivedAt.getTime()).toLowerCase()}`;
      const partition = importPartition(id);
      const permit = await guard.permit(caller, 'ImportDevices', organization(), partition, receivedAt);
      if (file.bytes.length === 0) throw problems.invalid('The file is empty.');
      const format = file.mediaType.includes('csv') ? 'csv' : 'json';
      const { roles, sites, amr, ...rest } = caller;
      const uploader = { ...rest, roles: [...roles], sites: [...sites], amr: [...amr] };
      const job = newImport(id, format, uploader, actorOf(caller), receivedAt);
      const entry = { ...permit, resource: `import/${id}`, after: { format, bytes: file.bytes.length } };
      await imports.create(job, file.bytes, file.mediaType, auditRecord(partition, entry, receivedAt));
      return { body: viewOf(job), headers: { location: `/v1/imports/${id}` } };
    }),

    getImport: operation(deviceOperations.getImport, async ({ caller, path, receivedAt }) => {
      const job = await requireImport(imports, parameter(path, 'importId'));
      guard.assertMay(caller, 'ReadImport', importResource(job.id, job.uploader.sub), receivedAt);
      return { body: viewOf(job) };
    }),

    getImportReport: operation(deviceOperations.getImportReport, async ({ caller, path, query, receivedAt }) => {
      const job = await requireImport(imports, parameter(path, 'importId'));
      guard.assertMay(caller, 'ReadImport', importResource(job.id, job.uploader.sub), receivedAt);
      const list = ['import-report', job.id];
      const part = query.cursor === undefined ? 0 : decodeCursor(list, query.cursor, PartNumber);
      const items = part < job.chunks ? ((await imports.readReport(job.id, part)) ?? []) : [];
      const ended = job.state === ImportState.Done || job.state === ImportState.Failed;
      // While the import runs there is always more to come: asking again with the same cursor shows it.
      const next = part < job.chunks ? part + 1 : part;
      return { body: pageBody(list, items, ended && next >= job.chunks ? undefined : next) };
    }),
  };
}

async function requireImport(imports: ImportStore, id: string): Promise<ImportJob> {
  const job = await imports.get(id);
  if (job === undefined) throw problems.notFound('There is no import with this id.');
  return job;
}
