import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { dayOf, isDay } from '../../shared/audit/archive/day.ts';
import { archiveName } from '../../shared/audit/archive/names.ts';
import { ApiClient, apiAddress } from '../client/api.ts';
import { parsed, UsageError } from '../client/usage.ts';

const help = `Usage: npm run -s wardline -- audit export --from DAY --out DIR [--to DAY] [--site ID] [--api URL]

Exports the audit archive to a folder, through the management API. Requires the role auditor or administrator; with
--site, the role at that site is enough.

  --from DAY   first day (UTC, YYYY-MM-DD)
  --to DAY     last day (default: today)
  --out DIR    folder to write to
  --site ID    only this site
  --api URL    address of the API (default: $WARDLINE_API, else the local cloud running in this folder)
  --help       show this

Set WARDLINE_TOKEN to an access token of your OpenID provider (locally: npm run -s token -- --user NAME).
To verify the export: npm run -s wardline -- audit verify DIR`;

const Page = v.object({
  items: v.array(v.object({ key: v.string(), content: v.string() })),
  next: v.optional(v.string()),
});

/** `wardline audit export`. */
export async function auditExport(args: readonly string[]): Promise<number> {
  const { values } = parsed(
    () =>
      parseArgs({
        args: [...args],
        options: {
          from: { type: 'string' },
          to: { type: 'string' },
          out: { type: 'string' },
          site: { type: 'string' },
          api: { type: 'string' },
          help: { type: 'boolean', short: 'h' },
        },
      }),
    help,
  );
  if (values.help) {
    console.log(help);
    return 0;
  }
  const { from, out, site, to = dayOf(new Date()) } = values;
  if (from === undefined || !isDay(from) || !isDay(to)) throw new UsageError('--from and --to must be days.', help);
  if (out === undefined || out === '') throw new UsageError('--out is missing.', help);
  const address = apiAddress(values.api);
  if (address === undefined) throw new UsageError('Where is the API? Give --api or WARDLINE_API.', help);
  const token = process.env['WARDLINE_TOKEN'];
  if (token === undefined || token === '') throw new UsageError('WARDLINE_TOKEN is not set.', help);

  const api = new ApiClient(address, token);
  let files = 0;
  let cursor: string | undefined;
  do {
    const page = v.parse(Page, await api.get('/audit/archive', { from, to, site, cursor }));
    for (const { key, content } of page.items) {
      // A server must not choose where on this machine it writes.
      if (archiveName(key) === undefined)
        throw new Error(`The API sent a file with an unknown name: ${JSON.stringify(key)}`);
      const file = join(out, key);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      files += 1;
    }
    cursor = page.next;
  } while (cursor !== undefined);
  console.log(`Exported ${files} files of the audit archive, ${from} to ${to}, to ${out}.`);
  return 0;
}
