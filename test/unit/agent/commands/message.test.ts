import fc from 'fast-check';
import { printable, showMessage } from '../../../../agent/commands/message.ts';
import { imagine } from '../report/machine.ts';

test('shows the text on terminals and in the journal and says so', async () => {
  const system = imagine({ programs: { wall: {}, logger: {} } });
  expect(await showMessage(system, { title: 'IT', text: 'Please plug in.' })).toEqual({
    status: 'acknowledged',
    detail: { shown: ['terminals', 'journal'] },
  });
  expect(system.inputs).toEqual(['IT\nPlease plug in.\n']);
  expect(system.ran).toContain('wall');
});

test('a text that is a path is shown, not read', async () => {
  const system = imagine({ programs: { wall: {} } });
  await showMessage(system, { text: '/etc/shadow' });
  expect(system.ran.filter((line) => line.startsWith('wall'))).toEqual(['wall']);
});

test('a machine that can show nothing says so', async () => {
  expect(await showMessage(imagine({}), { text: 'x' })).toEqual({ status: 'failed', reason: 'no-display' });
  expect(await showMessage(imagine({ programs: { wall: { code: 1 } } }), { text: 'x' })).toMatchObject({
    status: 'failed',
  });
});

test.each([{}, { text: '' }, { text: '  ' }, { text: 1 }])('%j is no message', async (parameters) => {
  expect(await showMessage(imagine({ programs: { wall: {} } }), parameters)).toEqual({
    status: 'failed',
    reason: 'invalid-parameters',
  });
});

test('nothing that steers a terminal is shown', () => {
  expect(printable('a\u001b[2Jb\u0007\nc\u202e')).toBe('a[2Jb c');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => expect(printable(text)).not.toMatch(/\p{Cc}|\p{Cf}/u)),
  );
});
