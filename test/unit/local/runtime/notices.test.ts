import { memoryLog } from '../../../../local/runtime/log.ts';
import { Notices } from '../../../../local/runtime/notices.ts';

test('the same sentence is told once a minute, with how often it would have been told in between', () => {
  const log = memoryLog();
  let now = 0;
  const notices = new Notices(log, () => now);

  for (now = 0; now < 60_000; now += 20_000) notices.tell('refused');
  notices.tell('refused');
  notices.tell('refused');

  expect(log.lines).toEqual(['warning: refused', 'warning: refused (2 more times before)']);
});

test('a flood of different sentences ends after twenty, until a minute has passed', () => {
  const log = memoryLog();
  let now = 0;
  const notices = new Notices(log, () => now);

  for (let client = 0; client < 1_000; client += 1) notices.tell(`refused ${client}`);
  expect(log.lines).toHaveLength(20);

  now = 60_000;
  notices.tell('refused 999');
  expect(log.lines.at(-1)).toBe('warning: refused 999');
});

test('what a client sent cannot steer the terminal', () => {
  const log = memoryLog();
  new Notices(log).tell('CONNECT of \u001b[2J\r\n refused');
  expect(log.lines).toEqual(['warning: CONNECT of  [2J   refused']);
});
