import type { Readable } from 'node:stream';
import { type Column, columnOf } from './columns.ts';
import { ListError, oneLine, type Row } from './list.ts';

/** Longest single entry in characters. */
const longestEntry = 16_384;

/**
 * The entries of a JSON list, one at a time: `[{…}, {…}]`, or one object a line (NDJSON). Only one entry is held in
 * memory. Members are named like the columns of a CSV file; numbers count as text, because some systems export serial
 * numbers so.
 *
 * @throws ListError when the list as a whole cannot be read; the entries before it were given
 */
export async function* readJsonList(
  source: Readable,
  onIgnored: (members: readonly string[]) => void,
): AsyncGenerator<Row> {
  const ignored = new Set<string>();
  let line = 0;
  for await (const text of splitObjects(source)) {
    line += 1;
    yield { line, cells: cellsOf(text, ignored) };
    // Members can differ from entry to entry; told as they come up, and only so many.
    if (ignored.size > 0) onIgnored([...ignored].slice(0, 50));
  }
}

function cellsOf(text: string, ignored: Set<string>): Row['cells'] {
  let value: unknown;
  try {
    value = JSON.parse(text, asWritten);
  } catch {
    throw new ListError('An entry of the list is not JSON.');
  }
  const cells: Partial<Record<Column, string>> = {};
  for (const [member, content] of Object.entries(value as Record<string, unknown>)) {
    const column = columnOf(member);
    const cell = typeof content === 'string' ? oneLine(content) : undefined;
    if (column === undefined) {
      if (ignored.size < 50) ignored.add(member.slice(0, 100));
    } else if (cell !== undefined && cell !== '' && cells[column] === undefined) cells[column] = cell;
  }
  return cells;
}

/** Numbers as the text that they are: as numbers, serials of more than 15 digits would become others. */
const asWritten = (_name: string, value: unknown, context?: { readonly source?: string }): unknown =>
  typeof value === 'number' ? (context?.source ?? String(value)) : value;

/** Cuts a stream of JSON into its outermost objects; what lies between them may only be list punctuation and blanks. */
async function* splitObjects(source: Readable): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const splitter = new Splitter();
  for await (const chunk of source) {
    let text: string;
    try {
      text = decoder.decode(chunk as Uint8Array, { stream: true });
    } catch {
      throw new ListError('The file is not UTF-8.');
    }
    yield* splitter.push(text);
  }
  splitter.end();
}

class Splitter {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #entry = '';
  #listOpen = false;
  #listClosed = false;

  *push(text: string): Generator<string> {
    for (const character of text) {
      if (this.#depth === 0) this.#outside(character);
      else if (this.#inside(character)) {
        yield this.#entry;
        this.#entry = '';
      }
    }
  }

  end(): void {
    if (this.#depth > 0) throw new ListError('The file ends in the middle of an entry.');
    if (this.#listOpen && !this.#listClosed) throw new ListError('The file ends before the list does.');
  }

  #outside(character: string): void {
    if (' \t\r\n,\u{feff}'.includes(character)) return;
    if (character === '{' && !this.#listClosed) {
      this.#depth = 1;
      this.#entry = '{';
    } else if (character === '[' && !this.#listOpen) this.#listOpen = true;
    else if (character === ']' && this.#listOpen && !this.#listClosed) this.#listClosed = true;
    else throw new ListError('The file is not a JSON list of objects.');
  }

  /** True when the entry is complete. */
  #inside(character: string): boolean {
    this.#entry += character;
    if (this.#entry.length > longestEntry) throw new ListError(`An entry has more than ${longestEntry} characters.`);
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
      return false;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') this.#depth -= 1;
    return this.#depth === 0;
  }
}
