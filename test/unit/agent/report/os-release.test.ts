import fc from 'fast-check';
import { parseOsRelease } from '../../../../agent/report/os-release.ts';

test('reads a distribution', () => {
  const text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n';
  expect(parseOsRelease(text)).toEqual({ id: 'debian', name: 'Debian GNU/Linux 12 (bookworm)', version: '12' });
});

test('reads quotes, escapes, comments and repetitions as a shell would', () => {
  const text = '# comment\r\nID=first\nID=\'second\'\nPRETTY_NAME="A \\"B\\" \\$C"\nVERSION_ID=3 \nbroken line\n=x\n';
  expect(parseOsRelease(text)).toEqual({ id: 'second', name: 'A "B" $C', version: '3' });
});

test('what is missing or empty is unknown', () => {
  expect(parseOsRelease('')).toEqual({ id: 'unknown', name: 'unknown', version: 'unknown' });
  expect(parseOsRelease('ID=\nVERSION_ID=""\nBUILD_ID=rolling')).toEqual({
    id: 'unknown',
    name: 'unknown',
    version: 'rolling',
  });
});

test('whatever a file holds, the answer is three texts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      const { id, name, version } = parseOsRelease(`ID=${text}\n${text}`);
      for (const value of [id, name, version]) expect(value.length).toBeGreaterThan(0);
    }),
  );
});
