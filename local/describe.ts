import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ResourceType } from './cloud.ts';
import { CustomResources } from './cloudformation/custom-resource.ts';
import { Roles } from './iam/roles.ts';
import { allParts } from './parts.ts';

const file = fileURLToPath(new URL('../docs/local-cloud.md', import.meta.url));
const BEGIN = '<!-- resource types: written by `node local/describe.ts` -->';
const END = '<!-- end of resource types -->';

/** The Markdown that lists every resource type with the properties that it honours and those that it leaves out, and why. */
export function describeResourceTypes(types: readonly ResourceType[]): string {
  const sections = [...types]
    .sort((a, b) => a.type.localeCompare(b.type))
    .map((type) => {
      const honoured = type.honoured.map((property) => `\`${property}\``).join(', ');
      const reasons = new Map<string, string[]>();
      for (const [property, reason] of Object.entries(type.leftOut)) {
        reasons.set(reason, [...(reasons.get(reason) ?? []), `\`${property}\``]);
      }
      const leftOut = [...reasons].map(([reason, properties]) => `- ${properties.join(', ')}: ${reason}`);
      return [
        `### ${type.type}`,
        '',
        honoured === ''
          ? 'Nothing honoured.'
          : `Honoured: ${type.honoured.includes('*') ? 'every property' : honoured}.`,
        ...(leftOut.length === 0 ? [] : ['', 'Left out:', '', ...leftOut]),
        '',
      ].join('\n');
    });
  return sections.join('\n');
}

/** The page with its list of resource types replaced. Throws when the page has no place for it. */
export function withResourceTypes(page: string, list: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin === -1 || end < begin) throw new Error('docs/local-cloud.md has no place for the resource types');
  return `${page.slice(0, begin)}${BEGIN}\n\n${list}\n${page.slice(end)}`;
}

/** All resource types of the local cloud. */
export function allResourceTypes(): ResourceType[] {
  const parts = allParts({
    roles: new Roles('000000000000', 'us-east-1'),
    customResources: new CustomResources(),
    lambda: () => {
      throw new Error('nothing runs while types are described');
    },
  });
  return parts.flatMap((part) => part.resources ?? []);
}

/** The path of the page. */
export const describedPage = file;

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(file, withResourceTypes(readFileSync(file, 'utf8'), describeResourceTypes(allResourceTypes())));
}
