import { OptionError, readOptions } from '../../../local/options.ts';

test('defaults', () => {
  expect(readOptions([])).toEqual({
    empty: false,
    devices: 200,
    data: undefined,
    port: 4800,
    trace: undefined,
    faults: undefined,
    speed: 1,
  });
});

test('all flags', () => {
  const args = [
    '--empty',
    '--devices',
    '5',
    '--data',
    'd',
    '--port',
    '0',
    '--trace',
    't',
    '--faults',
    'f',
    '--speed',
    '60',
  ];

  expect(readOptions(args)).toEqual({
    empty: true,
    devices: 5,
    data: 'd',
    port: 0,
    trace: 't',
    faults: 'f',
    speed: 60,
  });
});

test.each([['--help'], ['-h']])('%s', (flag) => {
  expect(readOptions([flag])).toBe('help');
});

test.each([
  [['--colour']],
  [['--port', 'x']],
  [['--port', '70000']],
  [['--devices', '-1']],
  [['--speed', '0']],
  [['--devices', '-5']],
  [['--data']],
  [['--data', '']],
  [['--trace', ' ']],
  [['--faults', '']],
  [['stray']],
])('%j is refused with a sentence', (args) => {
  expect(() => readOptions(args)).toThrow(OptionError);
  expect(() => readOptions(args)).toThrow(/^[^\n]*[^.]\. See npm start -- --help\.$/);
});
