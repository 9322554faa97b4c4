import { Readable } from 'node:stream';
import fc from 'fast-check';
import { readHeader } from '../../../../shared/imports/columns.ts';
import { type Cells, ListError, type Row } from '../../../../shared/imports/list.ts';
import { readCsv } from '../../../../shared/imports/read-csv.ts';
import { readJsonList } from '../../../../shared/imports/read-json.ts';

const collect = async (rows: AsyncGenerator<Row>): Promise<Row[]> => {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

/** Cuts at any byte, as a network would. */
const inPieces = (bytes: Buffer, size: number): Readable => {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return Readable.from(pieces, { objectMode: false });
};

const csv = async (text: string | Buffer, size = 7) => {
  const ignored: string[] = [];
  const rows = await collect(readCsv(inPieces(Buffer.from(text), size), (header) => ignored.push(...header.ignored)));
  return { rows: rows.map(({ cells }) => cells), lines: rows.map(({ line }) => line), ignored };
};

const json = async (text: string, size = 5) => {
  let ignored: readonly string[] = [];
  const rows = await collect(
    readJsonList(inPieces(Buffer.from(text), size), (members) => {
      ignored = members;
    }),
  );
  return { rows: rows.map(({ cells }) => cells), ignored };
};

describe('readHeader', () => {
  test('knows headings in many spellings, the first of each column', () => {
    const { columns, ignored } = readHeader([
      'Serial No.',
      'SERIAL',
      'OS',
      'Device Type',
      'Ward',
      'Facility',
      'Price',
      '',
    ]);
    expect(columns).toEqual(['serial', undefined, 'platform', 'class', 'unit', 'site', undefined, undefined]);
    expect(ignored).toEqual(['SERIAL', 'Price']);
  });
});

describe('readCsv', () => {
  const cell = fc.stringMatching(/^[A-Za-z0-9äß€"';,. _-]{0,12}$/).map((text) => text.trim());
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`;

  test('gives the same cells however the file was written', async () => {
    const style = fc.record({
      bom: fc.constantFrom('', '\u{feff}'),
      utf16: fc.boolean(),
      delimiter: fc.constantFrom(',', ';', '\t'),
      lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
      blankLines: fc.boolean(),
      lastLineEnd: fc.boolean(),
      heading: fc.constantFrom(
        ['Serial Number', 'Asset Name', 'MODEL'],
        ['sn', 'name', 'Model Name'],
        [' serial_no ', '"Name"', 'product'],
      ),
      pieces: fc.integer({ min: 1, max: 40 }),
    });
    const rows = fc.array(fc.tuple(fc.stringMatching(/^[A-Z0-9]{1,10}$/), cell, cell), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(style, rows, async (written, given) => {
        const { delimiter, lineEnd } = written;
        const lines = [written.heading.join(delimiter), ...given.map((row) => row.map(quoted).join(delimiter))];
        const spaced = written.blankLines ? lines.flatMap((line) => [line, '', delimiter.repeat(2)]) : lines;
        const text = spaced.join(lineEnd) + (written.lastLineEnd ? lineEnd : '');
        const bytes = written.utf16 ? Buffer.from(`\u{feff}${text}`, 'utf16le') : Buffer.from(written.bom + text);
        const read = await csv(bytes, written.pieces);
        const expected = given.map(
          ([serial, name, model]): Cells => ({
            serial,
            ...(name === '' ? {} : { name }),
            ...(model === '' ? {} : { model }),
          }),
        );
        expect(read.rows).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('bears rows of the wrong length and quotes inside a cell', async () => {
    const read = await csv('serial,name,model\nA1\nA2,5" tablet,M,extra\n\nA3,x,y\n');
    expect(read.rows).toEqual([
      { serial: 'A1' },
      { serial: 'A2', name: '5" tablet', model: 'M' },
      { serial: 'A3', name: 'x', model: 'y' },
    ]);
    expect(read.lines).toEqual([2, 3, 5]);
  });

  test('takes one delimiter, the one between the headings, and leaves the others in the text', async () => {
    expect((await csv('serial,name,platform\nA1,Pump; spare,iomt\n')).rows).toEqual([
      { serial: 'A1', name: 'Pump; spare', platform: 'iomt' },
    ]);
    expect((await csv('serial;name;platform\nA1;Boom 1,5 m;iomt\n')).rows).toEqual([
      { serial: 'A1', name: 'Boom 1,5 m', platform: 'iomt' },
    ]);
    expect((await csv('"serial";"name, in full, as printed"\nA1;x\n')).rows).toEqual([{ serial: 'A1' }]);
    expect((await csv('serial\nA1\n')).rows).toEqual([{ serial: 'A1' }]);
    const manyBlankLines = `${'\n'.repeat(30_000)}serial;name\nA1;x, y`;
    expect((await csv(manyBlankLines, 65_536)).rows).toEqual([{ serial: 'A1', name: 'x, y' }]);
  });

  test('understands the first line that Excel writes to name the delimiter', async () => {
    for (const first of ['sep=;', '"sep=;"', '\u{feff}SEP=;']) {
      const read = await csv(`${first}\r\nserial;name, as printed;model\r\nA1;x;M\r\n`);
      expect(read).toMatchObject({ rows: [{ serial: 'A1', model: 'M' }], lines: [3] });
    }
  });

  test('puts a cell that is broken over lines on one', async () => {
    // Any number of blanks takes no longer than as many letters.
    const blanks = ' '.repeat(8_000);
    expect((await csv(`serial,name\nA1,x${blanks}y\n`, 4_096)).rows).toEqual([{ serial: 'A1', name: `x${blanks}y` }]);
    expect((await csv('serial,name\nA1,"Cart\n  by the\r\ndoor"\n')).rows).toEqual([
      { serial: 'A1', name: 'Cart by the door' },
    ]);
  });

  test('says what is wrong with a file that is no list', async () => {
    await expect(csv('')).rejects.toThrow('The file is empty.');
    await expect(csv('name,model\nx,y\n')).rejects.toThrow(ListError);
    await expect(csv(`serial,name\nA1,"${'x'.repeat(20_000)}`)).rejects.toThrow(/quotation mark|characters/);
  });

  test('never fails in another way, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const text = Buffer.concat([Buffer.from('serial,name\n'), bytes]);
        await csv(text).catch((error: unknown) => expect(error).toBeInstanceOf(ListError));
      }),
    );
  });
});

describe('readJsonList', () => {
  test('gives the entries of a list, or of lines, wherever the network cuts them', async () => {
    const entry = fc.record({
      Serial: fc.stringMatching(/^[A-Z0-9]{1,8}$/),
      name: fc.string({ minLength: 1 }),
      extra: fc.jsonValue(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 6 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 30 }),
        async (entries, asList, size) => {
          const text = asList ? JSON.stringify(entries, null, 1) : entries.map((one) => JSON.stringify(one)).join('\n');
          const expected = entries.map(
            ({ Serial, name }): Cells => ({ serial: Serial, ...(name.trim() === '' ? {} : { name: name.trim() }) }),
          );
          const read = await json(text, size);
          expect(read.rows).toEqual(expected);
          expect(read.ignored).toEqual(entries.length === 0 ? [] : ['extra']);
        },
      ),
    );
  });

  test('takes numbers for text, and says what is wrong', async () => {
    expect((await json('[{"serial": 12345}]')).rows).toEqual([{ serial: '12345' }]);
    // Longer than a number of JavaScript holds: not one digit may change.
    expect((await json('[{"serial": 12345678901234567891, "model": 1.50}]')).rows).toEqual([
      { serial: '12345678901234567891', model: '1.50' },
    ]);
    await expect(json('"text"')).rejects.toThrow('not a JSON list');
    await expect(json('[{"serial": "A"}, 5]')).rejects.toThrow('not a JSON list');
    await expect(json('[{"serial": "A"}')).rejects.toThrow('ends before the list');
    await expect(json('[{"serial": "A"')).rejects.toThrow('middle of an entry');
    await expect(json('[{serial: "A"}]')).rejects.toThrow('not JSON');
    await expect(json(`[{"name": "${'x'.repeat(20_000)}"}]`)).rejects.toThrow('more than');
  });

  test('never fails in another way, whatever the text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        await json(`[{"serial":"A"},${text}`).catch((error: unknown) => expect(error).toBeInstanceOf(ListError));
      }),
    );
  });
});
