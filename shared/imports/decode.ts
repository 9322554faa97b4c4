import type { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';

/** Encodings by their byte order marks. Spreadsheets write all three. */
const marks: readonly (readonly [readonly number[], string])[] = [
  [[0xef, 0xbb, 0xbf], 'utf-8'],
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
];

const longestMark = 3;

/**
 * The text of a file, piece by piece, without its byte order mark: UTF-16 when the mark says so, otherwise UTF-8. Bytes
 * that are not UTF-8 become U+FFFD, which `parseRow` refuses, so that only their rows are lost.
 */
export async function* decodeText(source: Readable): AsyncGenerator<string> {
  let begin: Buffer = Buffer.alloc(0);
  let decoder: TextDecoder | undefined;
  for await (const piece of source) {
    const bytes = Buffer.from(piece as Uint8Array);
    if (decoder !== undefined) {
      yield decoder.decode(bytes, { stream: true });
      continue;
    }
    begin = Buffer.concat([begin, bytes]);
    if (begin.length < longestMark) continue;
    decoder = decoderFor(begin);
    yield decoder.decode(begin, { stream: true });
  }
  yield decoder === undefined ? decoderFor(begin).decode(begin) : decoder.decode();
}

/** The decoder drops the mark itself. */
function decoderFor(begin: Buffer): TextDecoder {
  const found = marks.find(([mark]) => mark.every((byte, index) => begin[index] === byte));
  return new TextDecoder(found?.[1] ?? 'utf-8');
}
