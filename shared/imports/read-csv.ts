import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { type Column, type Header, readHeader } from './columns.ts';
import { decodeText } from './decode.ts';
import { findDelimiter } from './delimiter.ts';
import { type Cells, ListError, oneLine, type Row } from './list.ts';

/** Longest row in characters: a quote that is never closed must not swallow the rest of the file. */
const longestRow = 16_384;

/**
 * The rows of a CSV file, one at a time, whatever a spreadsheet or export made of it: byte order mark (UTF-8, UTF-16
 * LE), any line ends, comma, semicolon or tab (`findDelimiter`), quotes in the middle of a cell, blank lines, rows that are too short or
 * too long, any order and spelling of the headings. The first line that is not blank holds the headings.
 *
 * @throws ListError when the list as a whole cannot be read; the rows before it were given
 */
export async function* readCsv(source: Readable, onHeader: (header: Header) => void): AsyncGenerator<Row> {
  const { delimiter, text: decoded } = await findDelimiter(decodeText(source));
  const parser = parse({
    delimiter,
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    trim: true,
    max_record_size: longestRow,
    info: true,
  });
  const text = Readable.from(decoded);
  // An error of the source must end the iteration below too; without this it would be unhandled.
  text.on('error', (error) => parser.destroy(error));
  text.pipe(parser);
  let header: Header | undefined;
  try {
    for await (const entry of parser) {
      const { record, info } = entry as { record: string[]; info: { lines: number } };
      if (header === undefined) {
        header = readHeader(record);
        if (!header.columns.includes('serial'))
          throw new ListError('The first line names no column for the serial number.');
        onHeader(header);
        continue;
      }
      yield { line: info.lines, cells: cellsOf(header.columns, record) };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new ListError(
      error.code === 'CSV_MAX_RECORD_SIZE'
        ? `A row has more than ${longestRow} characters; a quotation mark may be missing.`
        : error.code === 'CSV_QUOTE_NOT_CLOSED'
          ? 'A quotation mark is opened and never closed.'
          : 'The file is not CSV.',
    );
  }
  if (header === undefined) throw new ListError('The file is empty.');
}

function cellsOf(columns: readonly (Column | undefined)[], record: readonly string[]): Cells {
  const cells: Partial<Record<Column, string>> = {};
  for (const [position, column] of columns.entries()) {
    const text = oneLine(record[position] ?? '');
    if (column !== undefined && text !== '') cells[column] = text;
  }
  return cells;
}
