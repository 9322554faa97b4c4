import { Logger } from '@aws-lambda-powertools/logger';
import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { Context, SQSEvent } from 'aws-lambda';
import * as v from 'valibot';
import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { registerRow } from '../../shared/imports/register.ts';
import { runImport } from '../../shared/imports/run.ts';
import { ImportStore } from '../../shared/imports/store.ts';
import { PlaceLookup } from '../../shared/places/lookup.ts';
import { PlaceStore } from '../../shared/places/store.ts';

const logger = new Logger({ serviceName: 'import-devices' });
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) => keepRecord(devices, record));
const imports = new ImportStore({
  directory,
  s3: new S3Client(),
  bucket: requiredEnvironment('IMPORTS_BUCKET'),
  sqs: new SQSClient(),
  queueUrl: requiredEnvironment('IMPORTS_QUEUE_URL'),
});

const Order = v.object({ importId: v.string() });

/** A part takes a few seconds; with less than this left, the rest is for the next invocation. */
const timeForPartMilliseconds = 45_000;

/** Carries imports on; orders itself again while there is more to do. One message is one import. */
export const handler = async (event: SQSEvent, context: Context): Promise<void> => {
  for (const record of event.Records) {
    const { importId } = v.parse(Order, JSON.parse(record.body));
    const job = await imports.get(importId);
    if (job === undefined) {
      logger.warn('there is no such import', { importId });
      continue;
    }
    const services = { devices, guard, places: new PlaceLookup(new PlaceStore(directory, devices)) };
    const { job: after, again } = await runImport(job, {
      open: (id) => imports.open(id),
      register: (current, row) => registerRow(current, row, services),
      saveReport: (id, number, results) => imports.saveReport(id, number, results),
      save: (before, next) => imports.save(before, next),
      now: () => new Date(),
      hasTime: () => context.getRemainingTimeInMillis() > timeForPartMilliseconds,
    });
    if (again) await imports.order(importId);
    logger.info('import carried on', { importId, state: after.state, rows: after.rows });
  }
};
