/** What stands between cells. Spreadsheets take the semicolon where the comma is the decimal sign. */
const delimiters = [',', ';', '\t'] as const;
export type Delimiter = (typeof delimiters)[number];

/** A heading line that is longer is no heading line. */
const longestHeading = 16_384;

/**
 * Finds out what stands between the cells of a CSV file, from its first line that is not blank: there the headings are,
 * and whichever of comma, semicolon and tab occurs most between them is it. In the rows below the others are text (`Pump;
 * spare`, `1,5 m`). A first line `sep=;`, which Excel writes, says it outright; it is left out of the text.
 */
export async function findDelimiter(
  text: AsyncGenerator<string>,
): Promise<{ readonly delimiter: Delimiter; readonly text: AsyncGenerator<string> }> {
  let begin = '';
  let line: string | undefined;
  while (line === undefined && begin.length <= longestHeading) {
    const next = await text.next();
    if (next.done === true) line = headingOf(`${begin}\n`) ?? '';
    else {
      begin += next.value;
      line = headingOf(begin);
    }
  }
  const said = /^\s*"?sep=([,;\t])"?[ \r]*$/i.exec(line ?? '')?.[1];
  const delimiter = delimiters.find((each) => each === said);
  // The line stays as a blank one, so that lines are counted as the reader of the file counts them.
  if (delimiter !== undefined && line !== undefined) return { delimiter, text: joined(begin.replace(line, ''), text) };
  return { delimiter: mostOf(line ?? begin), text: joined(begin, text) };
}

/** The first line that is not blank, if it is there as a whole. A quoted heading may go over several. */
function headingOf(text: string): string | undefined {
  let quoted = false;
  let start = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index];
    if (character === '"') quoted = !quoted;
    if (quoted || (character !== '\n' && character !== '\r')) continue;
    const line = text.slice(start, index);
    if (line.trim() !== '') return line;
    start = index + 1;
  }
  return undefined;
}

function mostOf(line: string): Delimiter {
  const unquoted = line.replace(/"[^"]*"/g, '');
  const countOf = (delimiter: Delimiter) => unquoted.split(delimiter).length;
  return delimiters.reduce((best, each) => (countOf(each) > countOf(best) ? each : best));
}

async function* joined(begin: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield begin;
  yield* rest;
}
