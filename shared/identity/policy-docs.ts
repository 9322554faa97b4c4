import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { permissionTable } from './permission-table.ts';
import { PolicySet, policyFolder } from './policy-set.ts';

const marker = '<!-- policies -->';

/**
 * `docs/authorization.md` with who may do what by the policies, the policies themselves and their schema, after the line
 * that marks their place.
 */
export function withPolicies(page: string): string {
  const begin = page.indexOf(marker);
  if (begin < 0) throw new Error(`the page has no line ${marker}`);
  const names = readdirSync(policyFolder).sort();
  const [files, schemas] = ['.cedar', '.cedarschema'].map((suffix) =>
    names
      .filter((name) => name.endsWith(suffix))
      .map((name) => ({ name, text: readFileSync(join(policyFolder, name), 'utf8').trimEnd() })),
  );
  const schema = (schemas ?? []).map(({ text }) => text).join('\n');
  const policies = new PolicySet(
    'docs',
    schema,
    (files ?? []).map(({ text }) => text),
  );
  const table = [
    '### Who may do what',
    '',
    'For a user of one site with one role, on what is of that site. `with *`: only for the whole organization. †: needs a',
    'sign-in with a second factor within the last 15 minutes; many of these need a second person besides ([safety.md](safety.md)).',
    '',
    ...permissionTable(policies, schema),
    '',
  ].join('\n');
  const sections = [...(files ?? []), ...(schemas ?? [])].map(
    ({ name, text }) => `### ${name}\n\n\`\`\`cedar\n${text}\n\`\`\`\n`,
  );
  return `${page.slice(0, begin)}${marker}\n\n${[table, ...sections].join('\n')}`;
}
