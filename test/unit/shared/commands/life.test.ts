import fc from 'fast-check';
import { CommandStatus, CommandType, type StoredCommand } from '../../../../shared/commands/command.ts';
import { isOverdue, shown } from '../../../../shared/commands/expiry.ts';
import { changed, closedUnverified, historyLength, isFinal, isUnanswered } from '../../../../shared/commands/life.ts';
import { isVerifiable } from '../../../../shared/commands/verification.ts';
import { arrowsOf } from '../../../support/pictures.ts';

const start = Date.parse('2026-03-02T08:00:00.000Z');
const at = (seconds: number) => new Date(start + seconds * 1_000).toISOString();

const queued = (type: CommandType = CommandType.CollectLogs): StoredCommand => ({
  id: '5-01ARZ3NDEKTSV4RRFFQ69G5FAV',
  deviceId: 'd-000000000000000000000000',
  type,
  parameters: {},
  status: CommandStatus.Queued,
  createdAt: at(0),
  expiresAt: at(1_000),
  requestedBy: 'user:anna',
  history: [{ status: CommandStatus.Queued, at: at(0), source: 'user:anna' }],
  revision: 1,
  seq: 1,
});

/** Applies the statuses one after the other, each a second later; those that may not follow change nothing. */
const live = (command: StoredCommand, statuses: readonly CommandStatus[]): StoredCommand =>
  statuses.reduce(
    (current, status, second) => changed(current, { status, at: at(second + 1), source: 'test' }) ?? current,
    command,
  );

const anyStatus = fc.constantFrom(...Object.values(CommandStatus));
const anyType = fc.constantFrom(...Object.values(CommandType));

describe('life of a command', () => {
  test('what is final never changes, whatever comes after it', () => {
    fc.assert(
      fc.property(anyType, fc.array(anyStatus), fc.array(anyStatus), (type, before, after) => {
        const command = live(queued(type), before);
        fc.pre(isFinal(command));
        expect(live(command, after)).toBe(command);
      }),
    );
  });

  test('any interleaving ends consistent: status is the last change, one end at most, times and revision go up', () => {
    fc.assert(
      fc.property(anyType, fc.array(anyStatus, { maxLength: 60 }), (type, statuses) => {
        const command = live(queued(type), statuses);
        expect(command.status).toBe(command.history.at(-1)?.status);
        expect(command.history.length).toBeLessThanOrEqual(historyLength);
        expect(command.history.map((change) => change.at)).toEqual(command.history.map((change) => change.at).sort());
        expect(command.history[0]?.status).toBe('queued');
        const ends = command.history.filter(({ status }) =>
          ['verified', 'failed', 'expired', 'cancelled'].includes(status),
        );
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends.length === 1) expect(command.history.at(-1)).toBe(ends[0]);
        expect(isFinal(command)).toBe(ends.length === 1 || (command.status === 'acknowledged' && !isVerifiable(type)));
        expect(isFinal(command) && isUnanswered(command)).toBe(false);
      }),
    );
  });

  test('each of two racing changes gives the same end in either order, or the first one wins', () => {
    fc.assert(
      fc.property(fc.array(anyStatus), anyStatus, anyStatus, (before, one, other) => {
        const command = live(queued(), before);
        const ab = live(command, [one, other]);
        // The store writes with the revision that it has read: the loser is decided again on the winner's command.
        expect(ab.revision - command.revision).toBe(ab === command ? 0 : ab.history.length - command.history.length);
      }),
    );
  });

  test.each([
    ['delivered', 'cancelled', false],
    ['queued', 'cancelled', true],
    ['pushed', 'cancelled', true],
    ['deferred', 'cancelled', true],
    ['acknowledged', 'failed', false],
    ['delivered', 'pushed', false],
    ['queued', 'verified', false],
  ] as const)('%s then %s: %s', (from, to, allowed) => {
    const command = { ...queued(CommandType.Lock), status: from };
    expect(changed(command, { status: to, at: at(1), source: 'test' }) !== undefined).toBe(allowed);
  });

  test('the same "not now" again changes nothing; another reason or time does', () => {
    const defer = (command: StoredCommand, seconds: number, reason: string) =>
      changed(command, { status: 'deferred', at: at(5), source: 'device', reason, until: at(seconds) });
    const deferred = defer(queued(), 900, 'in-use');
    if (deferred === undefined) throw new Error('not deferred');
    expect(defer(deferred, 930, 'in-use')).toBeUndefined();
    expect(defer(deferred, 900, 'battery')?.history).toHaveLength(3);
    expect(defer(deferred, 990, 'in-use')?.deferredUntil).toBe(at(990));
  });

  test('a device that defers for weeks does not fill the record', () => {
    const statuses = Array.from({ length: 200 }, (_, n) =>
      n % 2 === 0 ? CommandStatus.Delivered : CommandStatus.Deferred,
    );
    const command = live(queued(), statuses);
    expect(command.history).toHaveLength(historyLength);
    expect(command.history[0]?.status).toBe('queued');
    expect(command.revision).toBe(201);
  });

  test('acknowledged waits for evidence, and ends without it after a day', () => {
    const lock = live(queued(CommandType.Lock), ['delivered', 'acknowledged']);
    expect(isFinal(lock)).toBe(false);
    expect(closedUnverified(lock, at(86_401))).toBeUndefined();
    expect(closedUnverified(lock, at(86_402))).toMatchObject({ status: 'acknowledged', closedAt: at(86_402) });
    expect(live(lock, ['verified'])).toMatchObject({ status: 'verified' });
  });
});

describe('expiry', () => {
  test('an unanswered command is shown as expired from its time on, and not before', () => {
    const command = queued();
    expect(isOverdue(command, start + 999_999)).toBe(false);
    expect(shown(command, start + 999_999).status).toBe('queued');
    expect(shown(command, start + 1_000_000)).toMatchObject({ status: 'expired', closedAt: at(1_000) });
    expect(shown(command, start + 1_000_000)).not.toHaveProperty('revision');
  });

  test('an answer before its time keeps it from expiring', () => {
    const lock = live(queued(CommandType.Lock), ['delivered', 'acknowledged']);
    expect(isOverdue(lock, start + 5_000_000)).toBe(false);
  });
});

test('the picture in docs/protocols/agent.md has every status, and only changes that may happen', () => {
  const arrows = arrowsOf('docs/protocols/agent.md', "A command's life");
  const drawn = new Set(arrows.flatMap(({ from, to }) => [from, to]));
  expect([...drawn].sort()).toEqual(Object.values(CommandStatus).sort());
  const ways: Partial<Record<string, readonly CommandStatus[]>> = {
    queued: [],
    verified: ['acknowledged', 'verified'],
  };
  const impossible = arrows.filter(({ from, to }) => {
    const before = live(queued(CommandType.Restart), ways[from] ?? [from as CommandStatus]);
    expect(before.status).toBe(from);
    return changed(before, { status: to as CommandStatus, at: at(10), source: 'test' }) === undefined;
  });
  expect(impossible).toEqual([]);
});
