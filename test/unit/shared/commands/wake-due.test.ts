import type { StoredCommand } from '../../../../shared/commands/command.ts';
import { dueChecks, pauseBeforeDue } from '../../../../shared/commands/wake-due.ts';

const at = (minutes: number) => new Date(Date.parse('2026-03-02T08:00:00Z') + minutes * 60_000).toISOString();

const command = (deviceId: string, deferredUntil: string | undefined, expiresAt = at(600)) =>
  ({ deviceId, expiresAt, ...(deferredUntil === undefined ? {} : { deferredUntil }) }) as StoredCommand;

describe('dueChecks', () => {
  test('one for each device and time', () => {
    const changes = [command('d-1', at(30)), command('d-1', at(30)), command('d-1', at(60)), command('d-2', at(30))];
    expect(dueChecks(changes.map((after) => ({ after })))).toEqual([
      { deviceId: 'd-1', until: at(30), attempt: 0 },
      { deviceId: 'd-1', until: at(60), attempt: 0 },
      { deviceId: 'd-2', until: at(30), attempt: 0 },
    ]);
  });

  test.each<[string, { before?: StoredCommand; after: StoredCommand }]>([
    ['that does not wait', { after: command('d-1', undefined) }],
    ['whose time stays the same', { before: command('d-1', at(30)), after: command('d-1', at(30)) }],
    ['that expires before', { after: command('d-1', at(30), at(30)) }],
  ])('none for a command %s', (_, change) => {
    expect(dueChecks([change])).toEqual([]);
  });

  test('another one for another time', () => {
    expect(dueChecks([{ before: command('d-1', at(30)), after: command('d-1', at(45)) }])).toHaveLength(1);
  });
});

test('looks a minute after the time, in steps of at most a quarter of an hour, and then as after any wake-up', () => {
  const pause = (minutes: number, attempt = 0) =>
    pauseBeforeDue({ deviceId: 'd-1', until: at(30), attempt }, Date.parse(at(minutes)));
  expect([0, 16, 20, 30, 31, 90].map((minutes) => pause(minutes))).toEqual([900, 900, 660, 60, 1, 1]);
  expect([1, 2, 3].map((attempt) => pause(31, attempt))).toEqual([300, 900, 900]);
});
