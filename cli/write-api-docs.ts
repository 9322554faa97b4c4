import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openApiDocument } from '../shared/api/document.ts';
import { apiMarkdown } from '../shared/api/markdown.ts';
import { withPolicies } from '../shared/identity/policy-docs.ts';

/**
 * `npm run docs:api`: writes `docs/openapi.json` and `docs/api.md` from the schemas of the code, and the policies into
 * `docs/authorization.md`.
 */
const docs = join(import.meta.dirname, '..', 'docs');
const document = openApiDocument('/v1');
writeFileSync(join(docs, 'openapi.json'), `${JSON.stringify(document, null, 2)}\n`);
writeFileSync(join(docs, 'api.md'), `${apiMarkdown(document).trimEnd()}\n`);

const page = join(docs, 'authorization.md');
writeFileSync(page, withPolicies(readFileSync(page, 'utf8')));
