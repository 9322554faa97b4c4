import fc from 'fast-check';
import { DeviceClass } from '../../../../../shared/devices/device.ts';
import type { Admitted } from '../../../../../shared/rollouts/admission/admission.ts';
import { DeferralReason } from '../../../../../shared/rollouts/executions/deferral.ts';
import {
  advance,
  deadlineOf,
  defaultLimits,
  type Execution,
  type ExecutionEvent,
  evidenceOf,
  FailureClass,
  isFinal,
} from '../../../../../shared/rollouts/executions/execution.ts';
import { arrowsOf } from '../../../../support/pictures.ts';

const start = Date.parse('2027-03-01T00:00:00Z');
const sha256 = 'a'.repeat(64);
const planned: Execution = {
  ...{ rolloutId: 'r-1', deviceId: 'd-1', siteId: 's-1', unitId: 'u-1', class: DeviceClass.InfusionPump },
  ...{ artifactKind: 'firmware', sha256, wave: 0, direction: 'forward', status: { state: 'planned' } },
  ...{ since: new Date(start).toISOString(), outOfService: false, version: 1 },
};
const admission = (at: number, deviceId = 'd-1'): Admitted => ({
  ...{ admitted: true, deviceId, at, validUntil: at + 10_000, outOfService: 0, budget: 1 },
});
const event = {
  dispatch: { kind: 'dispatch' },
  exclude: { kind: 'exclude', reason: 'already-there' },
  defer: { kind: 'defer', reason: DeferralReason.InUse, until: start + 60_000 },
  look: { kind: 'look-again' },
  staged: { kind: 'staged', sha256 },
  arm: { kind: 'arm' },
  activate: { kind: 'activate', admission: admission(start) },
  givenBack: { kind: 'given-back', reason: DeferralReason.InUse, until: start + 60_000 },
  installed: { kind: 'installed' },
  verified: { kind: 'verified' },
  failed: { kind: 'failed', class: FailureClass.SelfTest },
  timeOut: { kind: 'time-out' },
  rejected: { kind: 'rejected', reason: 'not now' },
  rolledBack: { kind: 'rolled-back' },
  cancel: { kind: 'cancel', reason: 'aborted' },
  returned: { kind: 'returned' },
} as const satisfies Record<string, ExecutionEvent>;

/** Goes through events that must all be taken. */
const through = (...events: readonly ExecutionEvent[]): Execution =>
  events.reduce((execution, next) => {
    const outcome = advance(execution, next, execution.version, start);
    if (!outcome.ok) throw new Error(outcome.reason);
    return outcome.value;
  }, planned);
const refusal = (execution: Execution, next: ExecutionEvent, at = start) => {
  const outcome = advance(execution, next, execution.version, at);
  return outcome.ok ? undefined : outcome.kind;
};

const armed = through(event.dispatch, event.staged, event.arm);
const activating = through(event.dispatch, event.staged, event.arm, event.activate);

describe('advance', () => {
  test('the way of a device that comes through; out of service from its activation to its proof', () => {
    const way = [event.dispatch, event.staged, event.arm, event.activate, event.installed, event.verified];
    const states = way.map((_, index) => through(...way.slice(0, index + 1)));
    expect(states.map(({ status }) => status.state)).toEqual([
      'queued',
      'staged',
      'armed',
      'activating',
      'verifying',
      'succeeded',
    ]);
    expect(states.map(({ outOfService }) => outOfService)).toEqual([false, false, false, true, true, false]);
    expect(states.at(-1)?.version).toBe(7);
  });

  test('a device that failed, or says nothing, is out of service until it is seen to work; its end stays', () => {
    for (const end of [event.failed, event.timeOut]) {
      const lost = through(event.dispatch, event.staged, event.arm, event.activate, end);
      expect([lost.outOfService, isFinal(lost)]).toEqual([true, true]);
      const back = advance(lost, event.returned, lost.version, start);
      expect(back).toMatchObject({ ok: true, value: { outOfService: false, status: lost.status } });
      if (back.ok) expect(refusal(back.value, event.returned)).toBe('not-allowed');
    }
    expect(through(event.dispatch, event.failed).outOfService).toBe(false);
  });

  test('waits with a reason and a time, and goes on where it was', () => {
    for (const from of [through(event.dispatch), through(event.dispatch, event.staged), armed]) {
      const waiting = advance(from, event.defer, from.version, start);
      expect(waiting).toMatchObject({
        ok: true,
        value: { status: { reason: 'in-use', until: '2027-03-01T00:01:00.000Z' } },
      });
      if (!waiting.ok) continue;
      const again = advance(waiting.value, event.look, waiting.value.version, start);
      expect(again).toMatchObject({ ok: true, value: { status: from.status } });
    }
    expect(refusal(armed, { ...event.defer, until: start })).toBe('not-allowed');
    expect(refusal(armed, { ...event.defer, until: Number.NaN })).toBe('not-allowed');
  });

  test('a download that is not what was sent fails', () => {
    const wrong = through(event.dispatch, { kind: 'staged', sha256: 'b'.repeat(64) });
    expect(wrong.status).toEqual({ state: 'failed', class: 'checksum' });
    expect(through(event.dispatch, event.defer, { kind: 'staged', sha256: sha256.toUpperCase() }).status.state).toBe(
      'staged',
    );
  });

  test('is activated only by an admission of its own that is fresh', () => {
    expect(refusal(armed, { kind: 'activate', admission: admission(start, 'd-2') })).toBe('not-allowed');
    expect(refusal(armed, event.activate, start + 10_001)).toBe('not-allowed');
    expect(refusal(armed, event.activate, start - 1)).toBe('not-allowed');
    expect(refusal(through(event.dispatch, event.staged), event.activate)).toBe('not-from-here');
  });

  test('an activation is not cancelled or put off by anybody but the device, which says that it has not begun', () => {
    const verifying = through(event.dispatch, event.staged, event.arm, event.activate, event.installed);
    for (const execution of [activating, verifying]) {
      for (const next of [event.cancel, event.defer, event.exclude]) {
        expect(refusal(execution, next)).toBe('not-from-here');
      }
    }
    expect(activating).toMatchObject({ outOfService: true, activatedAt: new Date(start).toISOString() });
    for (const next of [event.givenBack, event.rejected, { ...event.failed, untouched: true } as const]) {
      const outcome = advance(activating, next, activating.version, start);
      if (!outcome.ok) throw new Error(outcome.reason);
      expect(outcome.value.outOfService).toBe(false);
      expect(outcome.value).not.toHaveProperty('activatedAt');
    }
    // What is installed is begun.
    for (const next of [event.givenBack, event.rejected]) expect(refusal(verifying, next)).toBe('not-from-here');
  });

  test('one that failed and does not begin its way back stays out of service until it is seen to work', () => {
    const broken: Execution = {
      ...through(event.dispatch, event.staged),
      direction: 'back',
      outOfService: true,
    };
    const go = (execution: Execution, ...events: readonly ExecutionEvent[]): Execution =>
      events.reduce((current, next) => {
        const outcome = advance(current, next, current.version, start);
        if (!outcome.ok) throw new Error(outcome.reason);
        return outcome.value;
      }, execution);
    expect(go(broken, event.rejected).outOfService).toBe(true);
    const letIn = go(broken, event.arm, event.activate);
    for (const next of [event.givenBack, event.rejected, { ...event.failed, untouched: true } as const]) {
      expect(go(letIn, next)).toMatchObject({ outOfService: true });
      expect(go(letIn, next)).not.toHaveProperty('wasAway');
    }
    const again = go(letIn, event.givenBack, { kind: 'look-again' }, event.activate);
    expect(go(again, event.givenBack).outOfService).toBe(true);
    expect(go(again, event.verified).outOfService).toBe(false);
    // Once it was put back into service it is a device like others.
    const repaired = go(again, event.givenBack, event.returned, { kind: 'look-again' }, event.activate);
    expect(go(repaired, event.givenBack).outOfService).toBe(false);
  });

  test('a write that was decided on an older version changes nothing', () => {
    expect(advance(armed, event.activate, armed.version - 1, start)).toMatchObject({ ok: false, kind: 'conflict' });
  });

  test('nothing leads on from any end; that a device is back changes only that', () => {
    const verifying = through(event.dispatch, event.staged, event.arm, event.activate, event.installed);
    const ends: readonly ExecutionEvent[] = [event.verified, event.failed, event.timeOut, event.rolledBack];
    const ended = [
      ...ends.map((end) => advance(verifying, end, verifying.version, start)),
      ...[event.rejected, event.failed].map((end) => advance(activating, end, activating.version, start)),
      ...[event.cancel, event.exclude].map((end) => advance(planned, end, planned.version, start)),
    ].flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
    expect(new Set(ended.map(({ status }) => status.state)).size).toBe(7);
    for (const execution of ended) {
      for (const next of Object.values(event)) {
        const outcome = advance(execution, next, execution.version, start);
        if (next.kind !== 'returned') expect(outcome).toMatchObject({ ok: false, kind: 'final' });
        else if (outcome.ok) expect(outcome.value.status).toBe(execution.status);
      }
    }
  });

  test('whatever comes in whatever order: ends stay, waiting has an end, versions grow by one', () => {
    const events = fc.array(fc.constantFrom(...Object.values(event)), { maxLength: 30 });
    fc.assert(
      fc.property(events, (happened) => {
        let execution = planned;
        for (const next of happened) {
          const outcome = advance(execution, next, execution.version, start);
          if (!outcome.ok) continue;
          expect(outcome.value.version).toBe(execution.version + 1);
          if (isFinal(execution)) expect(outcome.value.status).toBe(execution.status);
          if (outcome.value.status.state === 'activating') expect(execution.status.state).toBe('armed');
          execution = outcome.value;
          const { status, outOfService } = execution;
          if (status.state === 'deferred') expect(Date.parse(status.until)).toBeGreaterThan(start);
          if (status.state === 'activating' || status.state === 'verifying') expect(outOfService).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('deadlineOf', () => {
  test('counts from the first word of it, however often the device is put off', () => {
    const put = through(event.dispatch, event.defer, event.look, event.defer);
    expect(deadlineOf(put, defaultLimits)).toBe(start + defaultLimits.queued);
    expect(through(event.dispatch, event.defer, event.timeOut).status).toEqual({ state: 'timed-out', stage: 'queued' });
    expect(deadlineOf(activating, defaultLimits)).toBe(start + defaultLimits.activating);
    expect(deadlineOf(armed, defaultLimits)).toBe(start + defaultLimits.ready);
    expect(deadlineOf({ ...armed, status: { state: 'planned' } }, defaultLimits)).toBeUndefined();
  });
});

describe('evidenceOf', () => {
  test('silence after an activation counts; a device that never fetched it says nothing of the artifact', () => {
    const way = [event.dispatch, event.staged, event.arm, event.activate];
    expect(evidenceOf(through(...way, event.verified))).toBe('success');
    expect(evidenceOf(through(...way, event.rolledBack))).toBe('failure');
    expect(evidenceOf(through(...way, event.timeOut))).toBe('silent');
    expect(evidenceOf(through(event.dispatch, event.failed))).toBe('failure');
    for (const end of [event.timeOut, event.rejected, event.cancel]) {
      expect(evidenceOf(through(event.dispatch, end))).toBeUndefined();
    }
  });

  test('a blocked way to the artifact, or no space for it, says nothing of the artifact until the device is let in', () => {
    const failed = (failure: FailureClass) => ({ kind: 'failed', class: failure }) as const;
    for (const failure of [FailureClass.Download, FailureClass.Space]) {
      expect(evidenceOf(through(event.dispatch, failed(failure)))).toBeUndefined();
      // From then on it is missing in its unit, whatever the update lacked.
      expect(evidenceOf(through(event.dispatch, event.staged, event.arm, event.activate, failed(failure)))).toBe(
        'failure',
      );
    }
    for (const failure of [FailureClass.Checksum, FailureClass.Signature, FailureClass.Install, FailureClass.Other]) {
      expect(evidenceOf(through(event.dispatch, failed(failure)))).toBe('failure');
    }
  });
});

test('the picture in docs/rollouts.md has only steps that may happen', () => {
  const arrows = arrowsOf('docs/rollouts.md', "A device's way");
  expect(arrows.length).toBeGreaterThan(15);
  const beginnings: readonly Execution[] = [
    planned,
    through(event.dispatch),
    through(event.dispatch, event.defer),
    through(event.dispatch, event.staged),
    armed,
    through(event.dispatch, event.staged, event.arm, event.defer),
    activating,
    through(event.dispatch, event.staged, event.arm, event.activate, event.installed),
  ];
  const steps = new Set(
    beginnings.flatMap((before) =>
      Object.values(event).flatMap((next) => {
        const outcome = advance(before, next, before.version, start);
        return outcome.ok ? [`${before.status.state} ${outcome.value.status.state}`] : [];
      }),
    ),
  );
  expect(arrows.filter(({ from, to }) => !steps.has(`${from} ${to}`))).toEqual([]);
});
