import fc from 'fast-check';
import type { CommandChange, StoredCommand } from '../../../../../shared/commands/command.ts';
import type { GateDecision } from '../../../../../shared/commands/gates/gate.ts';
import { activationOrder, downloadOrder } from '../../../../../shared/rollouts/admission/update-order.ts';
import { eventFor, safetyOf } from '../../../../../shared/rollouts/executions/command-events.ts';
import {
  advance,
  type ExecutionStatus,
  FailureClass,
  isFinal,
  mustGoBack,
} from '../../../../../shared/rollouts/executions/execution.ts';
import type { StoredExecution } from '../../../../../shared/rollouts/executions/execution-store.ts';
import { rolloutBegin as now, storedExecution, storedRollout } from '../../../../support/rollouts.ts';

const minute = 60_000;
const at = (offset: number) => new Date(now + offset).toISOString();
const rollout = storedRollout('ro-1');
const sha256 = rollout.definition.artifact.sha256;

const command = (
  order: ReturnType<typeof downloadOrder>,
  last: CommandChange,
  more: Partial<StoredCommand> = {},
): StoredCommand => ({
  ...{ id: '5-01', deviceId: 'd-1', ...order, status: last.status, createdAt: at(-60 * minute) },
  ...{ expiresAt: at(14 * 86_400_000), requestedBy: 'system:rollout-progress', revision: 3, seq: 1 },
  history: [{ status: 'queued', at: at(-60 * minute), source: 'system:rollout-progress' }, last],
  ...(last.status === 'deferred' && last.until !== undefined ? { deferredUntil: last.until } : {}),
  ...more,
});
const said = (status: CommandChange['status'], more: Partial<CommandChange> = {}): CommandChange => ({
  ...{ status, at: at(-1), source: 'device' },
  ...more,
});
const download = (last: CommandChange, more?: Partial<StoredCommand>) => command(downloadOrder(rollout), last, more);
const activation = (last: CommandChange, more?: Partial<StoredCommand>) =>
  command(activationOrder(rollout, 'forward'), last, more);
const on = (status: ExecutionStatus, more: Partial<StoredExecution> = {}) =>
  storedExecution('d-1', { status, since: at(-30 * minute), ...more });

const queued = on({ state: 'queued' });
const armed = on({ state: 'armed' });
const activating = on({ state: 'activating' }, { outOfService: true });
const decision = (gate: GateDecision['gate'], reason: string, signal: string, value: string): GateDecision => ({
  ...{ gate, reason, at: at(-1), effect: 'defer', ruleId: 'R8', until: at(minute) },
  inputs: [{ signal, value, source: 'directory' }],
});

describe('eventFor a download', () => {
  test('done: staged with the checksum that the device reckoned; none is no checksum', () => {
    expect(eventFor(queued, download(said('acknowledged'), { detail: { sha256 } }), now)).toEqual({
      kind: 'staged',
      sha256,
    });
    for (const detail of [undefined, null, 'x', { sha256: 7 }]) {
      const event = eventFor(queued, download(said('acknowledged'), { detail }), now);
      expect(event).toEqual({ kind: 'staged', sha256: '' });
      if (event === undefined) throw new Error();
      const outcome = advance(queued, event, queued.version, now);
      expect(outcome).toMatchObject({ ok: true, value: { status: { state: 'failed', class: 'checksum' } } });
    }
  });

  test.each([
    ['download-failed', 'download'],
    ['checksum-mismatch', 'checksum'],
    ['signature-invalid', 'signature'],
    ['not-enough-space', 'space'],
    ['unsupported', 'other'],
    // Nothing was activated, so nothing went back.
    ['self-test-failed-rolled-back', 'other'],
  ])('failed with %s: class %s', (reason, expected) => {
    expect(eventFor(queued, download(said('failed', { reason })), now)).toEqual({ kind: 'failed', class: expected });
  });

  test('what comes after the device is past the download changes nothing', () => {
    const late = [
      said('deferred', { reason: 'battery-low', until: at(minute) }),
      said('failed', { reason: 'download-failed' }),
      said('acknowledged'),
      said('expired', { source: 'clock' }),
    ];
    for (const last of late) {
      for (const execution of [on({ state: 'staged' }), armed, activating, on({ state: 'succeeded' })]) {
        expect(eventFor(execution, download(last, { detail: { sha256 } }), now)).toBeUndefined();
      }
    }
  });
});

describe('eventFor an activation', () => {
  test('installed, verified, failed, rolled back, expired, cancelled, declined', () => {
    expect(eventFor(activating, activation(said('acknowledged')), now)).toEqual({ kind: 'installed' });
    expect(eventFor(activating, activation(said('verified')), now)).toEqual({ kind: 'verified' });
    const failed = (reason: string, execution = activating) =>
      eventFor(execution, activation(said('failed', { reason })), now);
    expect(failed('install-failed')).toEqual({ kind: 'failed', class: 'install' });
    expect(failed('self-test-failed')).toEqual({ kind: 'failed', class: 'self-test' });
    expect(failed('alarm-path-lost')).toEqual({ kind: 'failed', class: 'safety' });
    expect(failed('rolled-back')).toEqual({ kind: 'rolled-back' });
    expect(failed('self-test-failed-rolled-back')).toEqual({ kind: 'rolled-back' });
    for (const execution of [armed, activating]) {
      expect(failed('rejected', execution)).toEqual({ kind: 'rejected', reason: 'rejected' });
    }
    expect(failed('not-staged')).toEqual({ kind: 'failed', class: 'other', untouched: true });
    // What it says it never touched, it works with as before: its unit has its spare again, and it need not go back.
    for (const reason of ['rejected', 'not-staged', 'unsupported', 'install-failed']) {
      const event = failed(reason);
      if (event === undefined) throw new Error();
      const outcome = advance({ ...activating, activatedAt: at(-minute) }, event, activating.version, now);
      if (!outcome.ok) throw new Error(outcome.reason);
      expect([outcome.value.outOfService, mustGoBack(outcome.value)]).toEqual(
        reason === 'install-failed' ? [true, true] : [false, false],
      );
    }
    expect(eventFor(activating, activation(said('expired')), now)).toEqual({ kind: 'time-out' });
    expect(eventFor(armed, activation(said('cancelled', { reason: 'No.' })), now)).toEqual({
      kind: 'cancel',
      reason: 'No.',
    });
  });

  test.each(['queued', 'pushed', 'delivered'] as const)('%s is no news', (status) => {
    expect(eventFor(armed, activation(said(status)), now)).toBeUndefined();
  });

  test('whatever word a device has for what went wrong, it is a failure of a known kind', () => {
    const word = fc.oneof(
      fc.constantFrom('constructor', '__proto__', 'toString', 'valueOf', ''),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(word, (reason) => {
        const event = eventFor(activating, activation(said('failed', { reason })), now);
        if (event === undefined) throw new Error('it says nothing');
        const outcome = advance(activating, event, activating.version, now);
        if (!outcome.ok) throw new Error('it is not taken');
        const { status } = outcome.value;
        if (status.state === 'failed') expect(Object.values(FailureClass)).toContain(status.class);
        // What becomes of it can be stored as it is.
        expect(JSON.parse(JSON.stringify(status))).toEqual(status);
      }),
    );
  });

  test('put off: by whom, for what, and always until a time to come (I5)', () => {
    const put = (source: string, reason: string, decisions: readonly GateDecision[] = [], until?: string) =>
      eventFor(
        armed,
        activation(said('deferred', { source, reason, ...(until === undefined ? {} : { until }) }), { decisions }),
        now,
      );
    const until = at(10 * minute);
    expect(put('device', 'in-use', [], until)).toEqual({ kind: 'defer', reason: 'in-use', until: now + 10 * minute });
    expect(put('device', 'battery-low')).toEqual({ kind: 'defer', reason: 'battery', until: now + 15 * minute });
    expect(put('device', 'in-use', [], at(-minute))).toBeUndefined();
    expect(put('brake', 'Pulled.', [], until)).toMatchObject({ reason: 'brake' });
    const battery = decision('interlock', 'Low.', 'battery', '12');
    expect(put('interlock', 'Low.', [battery], until)).toMatchObject({ reason: 'battery' });
    expect(put('interlock', 'Gone.', [battery], until)).toMatchObject({ reason: 'in-use' });
    const budget = decision('admission', 'Full.', 'waits for', 'unit-budget');
    expect(put('admission', 'Full.', [budget], until)).toMatchObject({ reason: 'unit-budget' });
  });

  test('what a gate said when the command was stored is no word on the device', () => {
    const stored = said('deferred', {
      at: at(-60 * minute),
      source: 'interlock',
      reason: 'Unknown.',
      until: at(minute),
    });
    expect(eventFor(armed, activation(stored), now)).toBeUndefined();
    expect(eventFor(armed, activation({ ...stored, at: at(-59 * minute) }), now)).toMatchObject({ reason: 'in-use' });
  });

  test('a device that was let in and says "not now" gives it back, and so does a brake; a word from before does not', () => {
    const word = (time: string, source = 'device') =>
      eventFor(
        activating,
        activation(said('deferred', { at: time, source, reason: 'in-use', until: at(minute) })),
        now,
      );
    expect(word(at(-29 * minute))).toEqual({ kind: 'given-back', reason: 'in-use', until: now + minute });
    expect(word(at(-30 * minute))).toBeUndefined();
    expect(word(at(-31 * minute))).toBeUndefined();
    expect(word(at(-29 * minute), 'interlock')).toBeUndefined();
    expect(word(at(-29 * minute), 'brake')).toEqual({ kind: 'given-back', reason: 'brake', until: now + minute });
    expect(word(at(-30 * minute), 'brake')).toBeUndefined();
    const event = word(at(-29 * minute));
    if (event === undefined) throw new Error();
    const outcome = advance({ ...activating, activatedAt: at(-30 * minute) }, event, activating.version, now);
    expect(outcome).toMatchObject({ ok: true, value: { outOfService: false, status: { from: 'armed' } } });
    expect(outcome.ok && outcome.value.activatedAt).toBeUndefined();
  });

  test('one that was given up and is seen to work is back, once', () => {
    const gone = on({ state: 'timed-out', stage: 'activating' }, { outOfService: true });
    expect(eventFor(gone, activation(said('verified')), now)).toEqual({ kind: 'returned' });
    expect(eventFor(gone, activation(said('failed', { reason: 'rolled-back' })), now)).toEqual({ kind: 'returned' });
    expect(eventFor(gone, activation(said('acknowledged')), now)).toBeUndefined();
    expect(eventFor({ ...gone, outOfService: false }, activation(said('verified')), now)).toBeUndefined();
  });

  test('commands of another rollout, kind or direction are not its own', () => {
    const verified = activation(said('verified'));
    const other = (parameters: Record<string, unknown>) =>
      eventFor(activating, { ...verified, parameters: { ...verified.parameters, ...parameters } }, now);
    expect(other({})).toBeDefined();
    expect(other({ rolloutId: 'ro-2' })).toBeUndefined();
    expect(other({ kind: 'app' })).toBeUndefined();
    expect(other({ back: true })).toBeUndefined();
    expect(eventFor(activating, { ...verified, type: 'restart' }, now)).toBeUndefined();
  });
});

describe('images in any order', () => {
  /** What a device's commands come to, in the order in which it happens. */
  const story: readonly StoredCommand[] = [
    download(said('deferred', { reason: 'battery-low', until: at(minute) }), { revision: 2 }),
    download(said('acknowledged'), { detail: { sha256 }, revision: 3 }),
    activation(said('deferred', { at: at(-40 * minute), source: 'interlock', reason: 'In use.', until: at(minute) })),
    activation(said('acknowledged')),
    activation(said('verified')),
  ];

  test('twice, late and out of order end where they must, and no end ever changes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(story.length - 1), { maxLength: 25 }), fc.nat(20), (order, letIn) => {
        let execution: StoredExecution = queued;
        const images = [...order.slice(0, letIn), 'let-in' as const, ...order.slice(letIn), ...story.keys()];
        let verified = false;
        for (const image of images) {
          const before = execution;
          if (image === 'let-in') {
            if (execution.status.state !== 'staged' && execution.status.state !== 'armed') continue;
            execution = { ...activating, version: execution.version + 1, since: at(-30 * minute) };
            continue;
          }
          const shown = story[image];
          const event = shown === undefined ? undefined : eventFor(execution, shown, now);
          if (event === undefined) continue;
          const outcome = advance(execution, event, execution.version, now);
          if (!outcome.ok) continue;
          execution = outcome.value as StoredExecution;
          verified ||= event.kind === 'verified';
          if (isFinal(before)) expect(execution.status).toEqual(before.status);
          if (execution.status.state === 'deferred') expect(Date.parse(execution.status.until)).toBeGreaterThan(now);
        }
        // Each image came at least once; a device that was let in after its download is through.
        if (verified) expect(execution.status.state).toBe('succeeded');
        else expect(['staged', 'armed', 'deferred']).toContain(execution.status.state);
        expect(execution.outOfService).toBe(false);
      }),
    );
  });
});

describe('safetyOf', () => {
  test('the reason of a failure, or the detail of any result; nothing else', () => {
    expect(safetyOf(activation(said('failed', { reason: 'alarm-path-lost' })))).toEqual({
      ...{ deviceId: 'd-1', kind: 'alarm-path-lost', at: at(-1) },
    });
    expect(safetyOf(activation(said('failed', { reason: 'not-returned-to-service' })))?.kind).toBe(
      'not-returned-to-service',
    );
    expect(safetyOf(activation(said('acknowledged'), { detail: { safety: 'alarm-path-lost' } }))?.kind).toBe(
      'alarm-path-lost',
    );
    expect(safetyOf(activation(said('failed', { reason: 'install-failed' })))).toBeUndefined();
    expect(safetyOf(activation(said('deferred', { reason: 'alarm-path-lost' })))).toBeUndefined();
    expect(safetyOf(activation(said('acknowledged'), { detail: { safety: 'harm-reported' } }))).toBeUndefined();
    expect(safetyOf(download(said('failed', { reason: 'alarm-path-lost' })))).toBeUndefined();
  });
});
