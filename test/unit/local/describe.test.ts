import { readFileSync } from 'node:fs';
import { allResourceTypes, describedPage, describeResourceTypes, withResourceTypes } from '../../../local/describe.ts';

test('docs/local-cloud.md lists the resource types as they are; `node local/describe.ts` writes it', () => {
  const page = readFileSync(describedPage, 'utf8');

  expect(withResourceTypes(page, describeResourceTypes(allResourceTypes()))).toBe(page);
});

test('no resource type has two owners, and no property is both honoured and left out', () => {
  const types = allResourceTypes();

  expect(new Set(types.map(({ type }) => type)).size).toBe(types.length);
  for (const { type, honoured, leftOut } of types) {
    expect({ type, both: honoured.filter((property) => property in leftOut) }).toEqual({ type, both: [] });
  }
});
