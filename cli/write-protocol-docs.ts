import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { protocolFiles } from '../shared/protocols/agent/documents.ts';

/** `npm run docs:protocols`: writes the AsyncAPI document and the JSON Schemas of `docs/protocols` from the code's schemas. */
const folder = join(import.meta.dirname, '..', 'docs', 'protocols');
for (const [path, text] of Object.entries(protocolFiles())) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
