import fc from 'fast-check';
import { parseRefusal, parseReply, parseWakeUp } from '../../../../agent/channel/messages.ts';

const reply = { serverTime: '2026-01-01T00:00:00Z', nextCheckInSeconds: 60, commands: [], desiredVersion: 3 };
const command = { id: '5-A', type: 'inventory', parameters: {}, expiresAt: '2026-01-02T00:00:00Z' };

test('a reply', () => {
  expect(
    parseReply(JSON.stringify({ ...reply, clientToken: 'c', commands: [command], desired: { a: 1 }, more: true })),
  ).toEqual({
    clientToken: 'c',
    serverTime: Date.parse('2026-01-01T00:00:00Z'),
    nextCheckInSeconds: 60,
    commands: [{ ...command, expiresAt: Date.parse('2026-01-02T00:00:00Z') }],
    desiredVersion: 3,
    desired: { a: 1 },
  });
});

test('commands that make no sense are dropped, the others kept', () => {
  const commands = [
    null,
    1,
    {},
    { ...command, id: '' },
    { ...command, expiresAt: 'soon' },
    { ...command, id: '5-B', parameters: null },
    command,
  ];
  expect(parseReply(JSON.stringify({ ...reply, commands })).commands.map(({ id }) => id)).toEqual(['5-B', '5-A']);
});

test.each([0, -1, 1e9, 'x', null, undefined])(
  'an interval of %j is replaced by a sensible one',
  (nextCheckInSeconds) => {
    expect(parseReply(JSON.stringify({ ...reply, nextCheckInSeconds })).nextCheckInSeconds).toBe(900);
  },
);

test.each(['', '[]', 'null', '{}', '{"serverTime":"now"}', '{"serverTime":1}'])('%j is no reply', (text) => {
  expect(() => parseReply(text)).toThrow(SyntaxError);
});

test('a reply is understood or refused with a SyntaxError, nothing else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((value) => `{"serverTime":"2026-01-01T00:00:00Z","commands":[${value}]}`),
      ),
      (text) => {
        try {
          parseReply(text);
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
        }
      },
    ),
  );
});

test('a refusal says status and words, also when it is no problem+json', () => {
  const refusal = parseRefusal('{"title":"Too large","detail":"at most 128 KB","status":413}', 400);
  expect([refusal.status, refusal.message]).toEqual([
    413,
    'the check-in was refused with 413: Too large: at most 128 KB',
  ]);
  expect(parseRefusal('<html>', 502).message).toContain('<html>');
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) =>
      expect(parseRefusal(text, 400).name).toBe('CheckInRefused'),
    ),
  );
});

test('the number of a wake-up', () => {
  expect(parseWakeUp('{"v":1,"n":7}')).toBe(7);
  for (const text of ['', '{}', '{"n":-1}', '{"n":1.5}', '{"n":"7"}', '[]']) expect(parseWakeUp(text)).toBeUndefined();
});
