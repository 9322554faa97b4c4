import { readFileSync } from 'node:fs';

/** An arrow of a picture. */
export interface Arrow {
  readonly from: string;
  readonly to: string;
}

/**
 * The arrows of a page's state diagrams (Mermaid), without those from the beginning and to the end, so that a test can
 * hold them against the code.
 *
 * @param page path from the repository's root
 * @param heading the section that the picture stands in
 */
export function arrowsOf(page: string, heading: string): readonly Arrow[] {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  const [, section = ''] = text.split(`\n## ${heading}\n`);
  const [, picture = ''] = /```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(section.split('\n## ')[0] ?? '') ?? [];
  // Mermaid's names have no hyphens; ours have, and no underscores.
  const named = (name = '') => name.replaceAll('_', '-');
  return [...picture.matchAll(/^\s*(\w+) --> (\w+)/gm)].map(([, from, to]) => ({ from: named(from), to: named(to) }));
}
