/** One piece of a policy pattern. `any` is `*`, `one` is `?`. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'one' };

/** A policy pattern, taken apart: text, `*`, `?` and `${variable}`. */
export function parsePattern(pattern: string): Piece[] {
  const pieces: Piece[] = [];
  let text = '';
  const flush = (): void => {
    if (text !== '') pieces.push({ kind: 'text', text });
    text = '';
  };
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === '$' && pattern.charAt(at + 1) === '{') {
      const end = pattern.indexOf('}', at);
      if (end < 0) throw new Error(`Unfinished policy variable in ${pattern}`);
      const name = pattern.slice(at + 2, end);
      // `${*}`, `${?}` and `${$}` are how a policy writes these characters themselves.
      if (name === '*' || name === '?' || name === '$') text += name;
      else {
        flush();
        pieces.push({ kind: 'variable', name });
      }
      at = end;
    } else if (character === '*' || character === '?') {
      flush();
      pieces.push({ kind: character === '*' ? 'any' : 'one' });
    } else text += character;
  }
  flush();
  return pieces;
}

/** A piece after variables were replaced. */
export type BoundPiece = Exclude<Piece, { kind: 'variable' }>;

/** A test of whole strings, made once and used for every message. */
export type Matcher = (value: string) => boolean;

/** The test for a pattern without variables. Fast for the shapes that policies have: exact, and `prefix*`. */
export function matcher(pieces: readonly BoundPiece[]): Matcher {
  const merged = merge(pieces);
  const [first, second] = merged;
  if (merged.length === 0) return (value) => value === '';
  if (merged.length === 1 && first?.kind === 'text') return (value) => value === first.text;
  if (merged.length === 1 && first?.kind === 'any') return () => true;
  if (merged.length === 2 && first?.kind === 'text' && second?.kind === 'any')
    return (value) => value.startsWith(first.text);
  return (value) => globMatches(merged, value);
}

/** Linear in practice and never exponential: only the last `*` is ever tried again. */
function globMatches(pieces: readonly BoundPiece[], value: string): boolean {
  let piece = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (piece < pieces.length || at < value.length) {
    const current = pieces[piece];
    if (current?.kind === 'any') {
      star = piece;
      starAt = at;
      piece += 1;
      continue;
    }
    if (current?.kind === 'one' && at < value.length) {
      piece += 1;
      at += 1;
      continue;
    }
    if (current?.kind === 'text' && value.startsWith(current.text, at)) {
      piece += 1;
      at += current.text.length;
      continue;
    }
    if (star < 0 || starAt >= value.length) return false;
    starAt += 1;
    at = starAt;
    piece = star + 1;
  }
  return true;
}

function merge(pieces: readonly BoundPiece[]): BoundPiece[] {
  const merged: BoundPiece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (piece.kind === 'any' && last?.kind === 'any') continue;
    if (piece.kind === 'text' && last?.kind === 'text')
      merged[merged.length - 1] = { kind: 'text', text: last.text + piece.text };
    else merged.push(piece);
  }
  return merged;
}
