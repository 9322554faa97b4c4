import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { isDay } from '../../shared/audit/archive/day.ts';
import { type Verification, verifyArchive } from '../../shared/audit/archive/verify.ts';
import { parsed, UsageError } from '../client/usage.ts';

const help = `Usage: npm run -s wardline -- audit verify DIR [--key FILE] [--from DAY] [--to DAY] [--site ID]

Verifies a copy of the audit archive (from audit export, or of the bucket itself) offline: no record was changed,
removed, added, moved or duplicated, and the signed digest of each day matches.

  --key FILE    your copy of the public key (PEM). Without it the key in DIR is used, which detects changes but
                does not prove who signed: compare its fingerprint with yours
  --from, --to  days (UTC, YYYY-MM-DD) that must be covered. Without them, records missing at either end go unnoticed
  --site ID     DIR holds only this site
  --help        show this

Exit code: 0 if the archive is sound, 1 if not (each problem is listed), 2 if the command line is invalid.`;

/** `wardline audit verify`. */
export function auditVerify(args: readonly string[]): number {
  const { values, positionals } = parsed(
    () =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          key: { type: 'string' },
          from: { type: 'string' },
          to: { type: 'string' },
          site: { type: 'string' },
          help: { type: 'boolean', short: 'h' },
        },
      }),
    help,
  );
  if (values.help) {
    console.log(help);
    return 0;
  }
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw new UsageError('Name one folder.', help);
  const { key, from, to, site } = values;
  for (const day of [from, to]) {
    if (day !== undefined && !isDay(day)) throw new UsageError(`"${day}" is not a day (YYYY-MM-DD).`, help);
  }
  const keys = filesIn(folder);
  if (keys.length === 0) throw new UsageError(`There is nothing in ${folder}.`, help);
  const verification = verifyArchive(
    { keys, read: (name) => readFileSync(join(folder, name), 'utf8') },
    {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(site === undefined ? {} : { place: site }),
      ...(key === undefined ? {} : { publicKeyPem: readFileSync(key, 'utf8') }),
    },
  );
  for (const { fault, where, what } of verification.problems) console.log(`${fault}: ${where} ${what}`);
  console.log(summary(verification, key !== undefined));
  return verification.problems.length === 0 ? 0 : 1;
}

/** Paths of all files in a folder, with slashes, as keys of the archive are. Throws when it cannot be read. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function summary({ problems, records, chains, attested, open, keys }: Verification, ownKey: boolean): string {
  const size = `${records} records in ${chains} chains`;
  if (problems.length > 0) return `NOT SOUND: ${problems.length} problems; ${size}.`;
  const signed = keys.map((fingerprint) => `SHA-256 ${fingerprint}`).join(', ');
  return [
    `Sound: ${size}.`,
    attested === undefined
      ? 'No day has a signed digest yet, so records missing at either end would go unnoticed.'
      : `Proved from ${attested.from} to ${attested.to}, signed with the key ${signed}${ownKey ? ', yours' : ', which is the one in the archive: compare it with yours'}.`,
    ...(open.length === 0 ? [] : [`Not closed and signed yet: ${open.join(', ')}.`]),
  ].join('\n');
}
