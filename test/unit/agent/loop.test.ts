import type { Channel, OnWake } from '../../../agent/channel/channel.ts';
import {
  type CheckIn,
  CheckInRefused,
  type CheckInReply,
  type DeliveredCommand,
} from '../../../agent/channel/messages.ts';
import { Journal, type JournalEntry } from '../../../agent/commands/journal.ts';
import { Loop } from '../../../agent/loop.ts';
import type { Machine, Outcome } from '../../../agent/machine.ts';
import type { Time } from '../../../agent/time.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const hour = 3_600_000;

/** A time that stands still until a test moves it: `waits` are the pauses asked for, `pass` ends them. */
function stoppedTime() {
  let now = start;
  const pending = new Set<() => void>();
  const waits: number[] = [];
  const asked = new Set<() => void>();
  const time: Time = {
    now: () => now,
    wait: (milliseconds, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          pending.delete(done);
          resolve();
        };
        waits.push(milliseconds);
        pending.add(done);
        if (signal?.aborted) done();
        signal?.addEventListener('abort', done, { once: true });
        for (const tell of asked) tell();
      }),
  };
  return {
    time,
    waits,
    /** Resolves when the loop has asked for its n-th pause. */
    idle: (n: number) =>
      new Promise<void>((resolve) => {
        const check = (): void => {
          if (waits.length < n) return;
          asked.delete(check);
          resolve();
        };
        asked.add(check);
        check();
      }),
    pass(milliseconds: number) {
      now += milliseconds;
      for (const done of [...pending]) done();
    },
  };
}

/** A server that answers with what `respond` says, and a machine that does what `carryOut` says. */
function setUp(
  respond: (message: CheckIn, n: number) => Partial<CheckInReply> | Error,
  carryOut: (command: DeliveredCommand) => Promise<Outcome> = async () => ({ status: 'acknowledged' }),
  entries: readonly JournalEntry[] = [],
) {
  const clock = stoppedTime();
  const messages: CheckIn[] = [];
  const facts = { inventory: { a: 1 } as Record<string, unknown>, posture: { p: 1 } as Record<string, unknown> };
  const carried: string[] = [];
  let wake: OnWake = () => undefined;
  let connections = 0;
  const closers: (() => void)[] = [];
  const machine: Machine = {
    inventory: async () => ({ ...facts.inventory }),
    posture: async () => ({ ...facts.posture }),
    repeatable: (type) => type === 'inventory',
    carryOut: (command) => {
      carried.push(command.id);
      return carryOut(command);
    },
  };
  let saved = entries;
  const journal = new Journal(entries, (list) => (saved = list));
  const loop = new Loop({
    machine,
    journal,
    time: clock.time,
    log: () => undefined,
    random: () => 0.5,
    connect: async (onWake): Promise<Channel> => {
      wake = onWake;
      connections += 1;
      const ended = Promise.withResolvers<void>();
      closers.push(ended.resolve);
      return {
        kind: 'mqtt',
        closed: ended.promise,
        close: async () => ended.resolve(),
        async checkIn(message) {
          messages.push(message);
          const answer = respond(message, messages.length);
          if (answer instanceof Error) throw answer;
          return { serverTime: clock.time.now(), nextCheckInSeconds: 900, commands: [], ...answer };
        },
      };
    },
  });
  const stop = new AbortController();
  const running = { end: Promise.resolve() };
  return {
    clock,
    messages,
    facts,
    carried,
    loop,
    wake: (n?: number) => wake(n),
    drop: () => closers.at(-1)?.(),
    connections: () => connections,
    saved: () => saved,
    run() {
      running.end = loop.run(stop.signal);
    },
    async stop() {
      stop.abort();
      await running.end;
    },
  };
}

/** Looks again after each turn of the event loop. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

const command = (id: string, type = 'inventory'): DeliveredCommand => ({
  id,
  type,
  parameters: {},
  expiresAt: start + hour,
});

test('sends what changed, and nothing else', async () => {
  const s = setUp(() => ({}));
  s.run();
  await s.clock.idle(1);
  s.clock.pass(900_000);
  await s.clock.idle(2);
  s.facts.posture = { p: 2 };
  s.loop.nudge();
  await s.clock.idle(3);
  await s.stop();
  expect(s.messages).toEqual([
    { at: '2026-01-01T00:00:00.000Z', inventory: { a: 1 }, posture: { p: 1 } },
    { at: '2026-01-01T00:15:00.000Z' },
    { at: '2026-01-01T00:15:00.000Z', posture: { p: 2 } },
  ]);
  expect(s.clock.waits[0]).toBe(900_000);
});

test('the inventory is sent again after a day, and when it is asked for', async () => {
  const s = setUp(() => ({}));
  s.run();
  await s.clock.idle(1);
  s.clock.pass(25 * hour);
  await s.clock.idle(2);
  s.loop.reportAll();
  s.loop.nudge();
  await s.clock.idle(3);
  await s.stop();
  expect(s.messages.map(({ inventory }) => inventory !== undefined)).toEqual([true, true, true]);
});

test('a wake-up causes a check-in that names it once', async () => {
  const s = setUp(() => ({}));
  s.run();
  await s.clock.idle(1);
  s.wake(7);
  await s.clock.idle(2);
  s.wake(undefined);
  await s.clock.idle(3);
  await s.stop();
  expect(s.messages.map(({ wake }) => wake)).toEqual([undefined, 7, undefined]);
});

test('a command is carried out once however often it is delivered, and its result is reported', async () => {
  const s = setUp((_, n) => (n <= 3 ? { commands: [command('1-A'), command('5-B')] } : {}));
  s.run();
  await until(() => {
    s.clock.pass(1_000);
    return s.messages.length >= 4;
  });
  await s.stop();
  expect(s.carried).toEqual(['1-A', '5-B']);
  const told = s.messages.flatMap(({ results }) => results ?? []).map(({ commandId }) => commandId);
  expect(new Set(told)).toEqual(new Set(['1-A', '5-B']));
});

test('a result survives a lost reply', async () => {
  const s = setUp((message, n) =>
    n === 1 ? { commands: [command('5-A')] } : message.results && n === 2 ? new Error('no answer') : {},
  );
  s.run();
  await s.clock.idle(1);
  await until(() => s.messages.length >= 2);
  await until(() => {
    s.clock.pass(60_000);
    return s.messages.length >= 3;
  });
  await s.stop();
  expect(s.carried).toEqual(['5-A']);
  expect(s.messages[2]?.results).toEqual(s.messages[1]?.results);
  expect(s.connections()).toBe(2);
});

test('a server that keeps asking for what is done is told again, ever more seldom', async () => {
  const s = setUp(() => ({ commands: [command('5-A')] }));
  s.run();
  await until(() => s.messages.some(({ results }) => results !== undefined));
  for (let round = s.messages.length; round < 8; round = s.messages.length) {
    await s.clock.idle(s.clock.waits.length);
    s.clock.pass(s.clock.waits.at(-1) ?? 0);
    await until(() => s.messages.length > round);
  }
  await s.stop();
  expect(s.carried).toEqual(['5-A']);
  expect(s.clock.waits.at(-1)).toBeGreaterThan(s.clock.waits.at(-3) ?? 0);
});

test('a command that has expired is not begun, by the clock of the server', async () => {
  const s = setUp((_, n) => (n === 1 ? { serverTime: start + 2 * hour, commands: [command('5-A')] } : {}));
  s.run();
  await s.clock.idle(1);
  await s.stop();
  expect(s.carried).toEqual([]);
});

test('a deferred command rests until its time and is then tried again', async () => {
  let outcome: Outcome = { status: 'deferred', reason: 'in-use', until: start + 600_000 };
  const s = setUp(
    () => ({ commands: [command('5-A', 'restart')] }),
    async () => outcome,
  );
  s.run();
  await until(() => s.messages.some(({ results }) => results?.[0]?.status === 'deferred'));
  const before = s.carried.length;
  expect(s.clock.waits.at(-1)).toBe(601_000);
  outcome = { status: 'acknowledged' };
  s.clock.pass(900_000);
  await until(() => s.messages.some(({ results }) => results?.[0]?.status === 'acknowledged'));
  await s.stop();
  expect(before).toBe(1);
  expect(s.carried.length).toBe(2);
  expect(s.messages.flatMap(({ results }) => results ?? [])[0]).toEqual({
    commandId: '5-A',
    status: 'deferred',
    reason: 'in-use',
    until: '2026-01-01T00:10:00.000Z',
  });
});

test('a machine that throws has failed, and the next command is carried out', async () => {
  const s = setUp(
    (_, n) => (n === 1 ? { commands: [command('5-A'), command('5-B')] } : {}),
    async ({ id }) => {
      if (id === '5-A') throw new Error('broken');
      return { status: 'acknowledged' };
    },
  );
  s.run();
  await until(() => s.messages.flatMap(({ results }) => results ?? []).length >= 2);
  await s.stop();
  expect(s.messages.flatMap(({ results }) => results ?? [])).toEqual([
    { commandId: '5-A', status: 'failed', reason: 'error', detail: { message: 'Error: broken' } },
    { commandId: '5-B', status: 'acknowledged' },
  ]);
});

test('a restart in the middle of a command: reported as interrupted, or done again where that does no harm', async () => {
  const entries = [
    { id: '5-A', type: 'message', expiresAt: start + hour, reported: false },
    { id: '5-B', type: 'inventory', expiresAt: start + hour, reported: false },
  ];
  const s = setUp(
    (_, n) => (n === 1 ? { commands: [command('5-A', 'message'), command('5-B')] } : {}),
    undefined,
    entries,
  );
  s.run();
  await until(() => s.messages.flatMap(({ results }) => results ?? []).length >= 2);
  await s.stop();
  expect(s.messages[0]?.results).toEqual([{ commandId: '5-A', status: 'failed', reason: 'interrupted' }]);
  expect(s.carried).toEqual(['5-B']);
});

test('a report that is too large does not hold back the results', async () => {
  const s = setUp((message) => (message.inventory ? new CheckInRefused(413, 'too large') : { commands: [] }));
  s.run();
  await s.clock.idle(1);
  s.clock.pass(1_000);
  await s.clock.idle(2);
  await s.stop();
  expect(s.messages.map(({ inventory }) => inventory !== undefined)).toEqual([true, false]);
  expect(s.connections()).toBe(1);
});

test('failures are retried ever more seldom; what the server asks to wait is added; a stranger waits longest', async () => {
  const errors = [
    new Error('net'),
    new Error('net'),
    new CheckInRefused(503, 'busy', 30),
    ...Array.from({ length: 9 }, () => new CheckInRefused(403, 'no')),
  ];
  const s = setUp((_, n) => errors[n - 1] ?? {});
  s.run();
  for (let n = 1; n <= errors.length; n += 1) {
    await s.clock.idle(n);
    s.clock.pass(s.clock.waits[n - 1] ?? 0);
  }
  await s.stop();
  expect(s.clock.waits.slice(0, 4)).toEqual([1_000, 2_000, 34_000, 8_000]);
  expect(s.clock.waits[errors.length - 1]).toBe(1_800_000);
});

test('a connection that drops is replaced at once', async () => {
  const s = setUp(() => ({}));
  s.run();
  await s.clock.idle(1);
  s.drop();
  await s.clock.idle(2);
  await s.stop();
  expect(s.connections()).toBe(2);
  expect(s.messages).toHaveLength(2);
});
