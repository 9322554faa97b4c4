import { parseOptions, UsageError } from '../../../agent/options.ts';

const parse = (args: readonly string[], environment: Record<string, string> = { HOME: '/home/u' }, root = false) =>
  parseOptions(args, environment, root);

test('state lies where the system keeps it', () => {
  expect(parse([]).state).toBe('/home/u/.local/state/wardline');
  expect(parse([], { XDG_STATE_HOME: '/state' }).state).toBe('/state/wardline');
  expect(parse([], {}, true).state).toBe('/var/lib/wardline');
  expect(parse(['--state', '/x']).state).toBe('/x');
});

test('the token may come from the environment, where other users do not see it', () => {
  const environment = { HOME: '/h', WARDLINE_ENROLLMENT_TOKEN: 'wle_1' };
  expect(parse(['--enroll', 'https://e'], environment).token).toBe('wle_1');
  expect(parse(['--enroll', 'https://e', '--token', 'wle_2'], environment).token).toBe('wle_2');
});

test.each([
  [['--enroll', 'https://e'], '--enroll needs --token'],
  [['--enroll', 'http://e', '--token', 't'], '--enroll needs a URL that begins with https://'],
  [['--mqtt', 'mqtt://e'], '--mqtt needs a URL that begins with mqtts://'],
  [['--device', 'e'], '--device needs a URL'],
  [['--channel', 'carrier-pigeon'], '--channel is mqtt or https'],
  [['--unheard-of'], '--unheard-of'],
])('%j is a mistake that is named', (args, message) => {
  expect(() => parse(args)).toThrow(UsageError);
  expect(() => parse(args)).toThrow(message);
});
