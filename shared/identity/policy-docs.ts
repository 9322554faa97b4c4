import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { policyFolder } from './policy-set.ts';

const marker = '<!-- policies -->';

/** `docs/authorization.md` with the policies and the schema as they are, after the line that marks their place. */
export function withPolicies(page: string): string {
  const begin = page.indexOf(marker);
  if (begin < 0) throw new Error(`the page has no line ${marker}`);
  const names = readdirSync(policyFolder).sort();
  const ordered = [
    ...names.filter((name) => name.endsWith('.cedar')),
    ...names.filter((name) => name.endsWith('.cedarschema')),
  ];
  const sections = ordered.map((name) => {
    const text = readFileSync(join(policyFolder, name), 'utf8').trimEnd();
    return `### ${name}\n\n\`\`\`cedar\n${text}\n\`\`\`\n`;
  });
  return `${page.slice(0, begin)}${marker}\n\n${sections.join('\n')}`;
}
