/** A word of IoT SQL. `name` covers keywords: IoT SQL reserves them only where they have a meaning. */
export type Token =
  | { readonly kind: 'name'; readonly text: string; readonly at: number }
  | { readonly kind: 'string'; readonly text: string; readonly at: number }
  | { readonly kind: 'number'; readonly value: number; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

/** A statement that is wrong, or that uses what is not emulated. */
export class SqlError extends Error {
  constructor(problem: string, at: number) {
    super(`${problem} (at character ${at + 1})`);
    this.name = 'SqlError';
  }
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SIGN = /<>|<=|>=|\|\||[*,.()=<>+\-/%[\]{}]/y;
const BLANK = /\s+/y;

/** Takes a statement apart. Throws `SqlError` on a character that has no place in IoT SQL. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(sql)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  while (at < sql.length) {
    if (take(BLANK) !== undefined) continue;
    const start = at;
    if (sql.charAt(at) === "'" || sql.charAt(at) === '"') {
      const { text, end } = quoted(sql, at);
      tokens.push({ kind: 'string', text, at: start });
      at = end;
      continue;
    }
    const name = take(NAME);
    if (name !== undefined) {
      tokens.push({ kind: 'name', text: name, at: start });
      continue;
    }
    const number = take(NUMBER);
    if (number !== undefined) {
      tokens.push({ kind: 'number', value: Number(number), at: start });
      continue;
    }
    const sign = take(SIGN);
    if (sign === undefined) throw new SqlError(`Unexpected ${JSON.stringify(sql.charAt(at))}`, at);
    tokens.push({ kind: 'sign', text: sign, at: start });
  }
  tokens.push({ kind: 'end', at });
  return tokens;
}

/** A quote inside a string is written twice. */
function quoted(sql: string, start: number): { text: string; end: number } {
  const quote = sql.charAt(start);
  let text = '';
  let at = start + 1;
  while (at < sql.length) {
    const character = sql.charAt(at);
    if (character === quote) {
      if (sql.charAt(at + 1) !== quote) return { text, end: at + 1 };
      at += 1;
    }
    text += character;
    at += 1;
  }
  throw new SqlError('A string does not end', start);
}
