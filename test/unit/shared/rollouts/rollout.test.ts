import fc from 'fast-check';
import { DeviceClass } from '../../../../shared/devices/device.ts';
import { defaultGate, judge, type SafetyEvent } from '../../../../shared/rollouts/gate/gate.ts';
import type { WaveEvent } from '../../../../shared/rollouts/gate/wave.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import {
  advanceRollout,
  cloneRollout,
  draftRollout,
  permitOf,
  type Rollout,
  type RolloutDefinition,
  type RolloutEvent,
  takesBack,
} from '../../../../shared/rollouts/rollout.ts';
import { arrowsOf } from '../../../support/pictures.ts';

const start = Date.parse('2027-03-01T00:00:00Z');
const hour = 3_600_000;
const definition: RolloutDefinition = {
  name: 'Pump firmware 5.0',
  artifact: { kind: 'firmware', name: 'pump-os', version: '5.0', sha256: 'a'.repeat(64), signature: 'c2lnbmVk' },
  selection: { classes: [DeviceClass.InfusionPump] },
  waves: defaultWaves(['u-lab']),
  order: 'pilot-first',
  onStop: 'pause',
  wayBack: 'The pump keeps 4.1 in its second area.',
  soakHours: 72,
};
const draft = draftRollout('r-1', definition, 'user:ada', start);

const all = (success: number, failure = 0, safety: readonly SafetyEvent[] = [], bakeUntil = start) => {
  const tally = { success, failure };
  const silence = { success: success + failure, failure: 0 };
  const fetching = { fetched: success + failure, download: 0, space: 0 };
  const pooled = { reported: tally, silence };
  const evidence = { fetching, reported: tally, silence, pooled, strata: {}, safety, control: [] };
  return judge({ ...evidence, bakeUntil }, defaultGate, start + 100 * hour);
};
const later = start + 1_000 * hour;
const judged = (judgement = all(60), waiting = 5, bakeUntil = start + 24 * hour): WaveEvent & { kind: 'judged' } => ({
  ...{ kind: 'judged', judgement, waiting, bakeUntil },
});
const lost: SafetyEvent = { deviceId: 'd-7', kind: 'alarm-path-lost', at: '2027-02-28T12:00:00.000Z' };
const digest = 'd'.repeat(64);
const e = {
  planned: { kind: 'planned', digest, devices: [3, 10, 200, 800, 9_000] },
  submit: { kind: 'submit', by: 'user:ada', approveUntil: start + hour },
  approve: { kind: 'approve', by: 'user:bea', digest },
  start: { kind: 'start' },
  pause: { kind: 'pause', by: 'operator', words: 'Something smells.' },
  freeze: { kind: 'pause', by: 'freeze', words: 'Go-live.' },
  resume: { kind: 'resume' },
  abort: { kind: 'abort' },
  rollBack: { kind: 'roll-back' },
  skip: { kind: 'skip-site', siteId: 's-3' },
  supersede: { kind: 'supersede' },
  safety: { kind: 'safety', event: lost },
} as const satisfies Record<string, RolloutEvent>;

const step = (rollout: Rollout, event: RolloutEvent, at = start) => advanceRollout(rollout, event, rollout.version, at);
const through = (rollout: Rollout, events: readonly RolloutEvent[], at = start): Rollout =>
  events.reduce((current, event) => {
    const outcome = step(current, event, at);
    if (!outcome.ok) throw new Error(`${event.kind}: ${outcome.reason}`);
    return outcome.value;
  }, rollout);
const refusal = (rollout: Rollout, event: RolloutEvent, at = start) => {
  const outcome = step(rollout, event, at);
  return outcome.ok ? undefined : outcome.kind;
};
/** What brings a wave through its gate. */
const pass = (wave: number): RolloutEvent[] => [
  { kind: 'wave', wave, event: judged(all(60, 0, [], later * 2)) },
  { kind: 'wave', wave, event: judged() },
];
const running = through(draft, [e.planned, e.submit, e.approve, e.start]);
const permit = (rollout: Rollout, wave: number, siteId = 's-1', direction: 'forward' | 'back' = 'forward') =>
  permitOf(rollout, { wave, siteId, direction }).allowed;
const states = (rollout: Rollout) => rollout.waves.map(({ status }) => status.state);

describe('takesBack', () => {
  const takes = (rollout: Rollout, event: RolloutEvent) => takesBack(rollout, through(rollout, [event]));

  test('says it of whatever stops devices, and of nothing that lets more go on', () => {
    const closed: RolloutEvent = { kind: 'wave', wave: 0, event: { kind: 'windows-closed', until: start + hour } };
    for (const event of [e.pause, e.abort, e.rollBack, e.safety, e.skip, closed])
      expect(takes(running, event)).toBe(true);
    const [bakes, passes] = pass(0) as [RolloutEvent, RolloutEvent];
    expect(takes(running, bakes)).toBe(false);
    expect(takesBack(through(running, [bakes]), through(running, [bakes, passes], later))).toBe(false);
    expect(takes(through(running, [e.pause]), e.resume)).toBe(false);
    expect(takes(through(running, [e.pause]), e.abort)).toBe(false);
    expect(takesBack(through(draft, [e.planned, e.submit, e.approve]), running)).toBe(false);
    const back = through(running, [e.rollBack]);
    expect(takes(back, { kind: 'rolled-back', unfinished: 0, failed: 0 })).toBe(true);
  });
});

describe('approval', () => {
  const submitted = through(draft, [e.planned, e.submit]);

  test('takes another person, the plan that was looked at, and time', () => {
    expect(refusal(submitted, { ...e.approve, by: 'user:ada' })).toBe('not-allowed');
    expect(refusal(submitted, { ...e.approve, digest: 'e'.repeat(64) })).toBe('not-allowed');
    expect(refusal(submitted, e.approve, start + hour)).toBe('not-allowed');
    expect(through(submitted, [e.approve])).toMatchObject({ state: 'scheduled', approvedBy: 'user:bea' });
    expect(refusal(submitted, e.start)).toBe('not-from-here');
    expect(through(submitted, [{ kind: 'reject', by: 'user:bea' }]).state).toBe('rejected');
    expect(through(submitted, [{ kind: 'expire' }]).state).toBe('expired');
  });

  test('who made it cannot approve it, even when another submitted it', () => {
    const other = through(draft, [e.planned, { ...e.submit, by: 'user:bea' }]);
    expect(refusal(other, { ...e.approve, by: 'user:ada' })).toBe('not-allowed');
  });

  test('a change voids plan and approval', () => {
    const scheduled = through(submitted, [e.approve]);
    const edited = through(scheduled, [{ kind: 'edit', definition: { ...definition, name: 'Other' } }]);
    expect(edited).toMatchObject({ state: 'draft', waves: [], version: scheduled.version + 1 });
    expect([edited.digest, edited.approvedBy, edited.submittedBy]).toEqual([undefined, undefined, undefined]);
  });

  test('no start without a way back, and no plan without devices or with waves that make no sense', () => {
    const noWay = draftRollout('r-2', { ...definition, wayBack: ' ' }, 'user:ada', start);
    expect(refusal(through(noWay, [e.planned, e.submit]), e.approve)).toBe('not-allowed');
    expect(refusal(draft, { ...e.planned, devices: [0, 0, 0, 0, 0] })).toBe('not-allowed');
    expect(refusal(draft, { ...e.planned, devices: [1] })).toBe('not-allowed');
    const one = draftRollout('r-3', { ...definition, waves: definition.waves.slice(4) }, 'user:ada', start);
    expect(refusal(one, { ...e.planned, devices: [5] })).toBe('not-allowed');
  });
});

describe('waves', () => {
  test('one after the other; at the end it is watched, and completed when all have finished', () => {
    expect(states(running)).toEqual(['admitting', 'pending', 'pending', 'pending', 'pending']);
    const watched = through(running, [0, 1, 2, 3, 4].flatMap(pass), later);
    expect(watched.state).toBe('soaking');
    expect(refusal(watched, { kind: 'soaked', unfinished: 0 }, later + 71 * hour)).toBe('not-allowed');
    expect(refusal(watched, { kind: 'soaked', unfinished: 2 }, later + 72 * hour)).toBe('not-allowed');
    expect(through(watched, [{ kind: 'soaked', unfinished: 0 }], later + 72 * hour).state).toBe('completed');
  });

  test('admit only in their turn; those that were promoted still let their stragglers in', () => {
    expect([0, 1, 2].map((wave) => permit(running, wave))).toEqual([true, false, false]);
    const second = through(running, pass(0), later);
    expect([0, 1, 2].map((wave) => permit(second, wave))).toEqual([true, true, false]);
  });

  test('nobody is let in before his turn, even if a wave were open that should not be', () => {
    const [first, second, ...others] = running.waves;
    if (first === undefined || second === undefined) throw new Error('no waves');
    const wrong = { ...running, waves: [first, { ...second, status: first.status }, ...others] };
    expect([permit(wrong, 0), permit(wrong, 1), permit(wrong, 9)]).toEqual([true, false, false]);
  });

  test('an empty wave is skipped', () => {
    const events = [{ ...e.planned, devices: [0, 0, 200, 0, 9_000] }, e.submit, e.approve, e.start];
    expect(states(through(draft, events))).toEqual(['skipped', 'skipped', 'admitting', 'pending', 'pending']);
  });

  test('a wave whose sites are all left out makes way for the next one; after the last the rollout is watched', () => {
    const leftOut = (wave: number): RolloutEvent => ({ kind: 'wave', wave, event: { kind: 'left-out' } });
    const second = through(running, [leftOut(0)]);
    expect(states(second)).toEqual(['skipped', 'admitting', 'pending', 'pending', 'pending']);
    expect(refusal(second, leftOut(0))).toBe('final');
    expect(refusal(second, leftOut(2))).toBe('not-from-here');
    const last = through(running, [0, 1, 2, 3, 4].map(leftOut));
    expect(last).toMatchObject({ state: 'soaking', soakUntil: expect.any(String) });
  });

  test('a bake begins with enough evidence, and a judgement alone does not end it', () => {
    const [begin, end] = pass(0);
    if (begin === undefined || end === undefined) throw new Error('no events');
    const baking = through(running, [begin]);
    expect(baking.waves[0]).toMatchObject({ status: { state: 'baking' }, bakeUntil: '2027-03-02T00:00:00.000Z' });
    expect(refusal(baking, end, start + 24 * hour - 1)).toBe('not-allowed');
    expect(states(through(baking, [end], start + 24 * hour))).toEqual([
      'promoted',
      'admitting',
      'pending',
      'pending',
      'pending',
    ]);
    expect(refusal(running, { kind: 'wave', wave: 0, event: judged() }, later)).toBe('not-allowed');
  });

  test('missing evidence holds when no device is left to bring it; a person may take it on, not before the bake', () => {
    const few = (waiting: number): RolloutEvent => ({ kind: 'wave', wave: 0, event: judged(all(3), waiting) });
    expect(states(through(running, [few(1)]))[0]).toBe('admitting');
    const held = through(running, [few(0)]);
    expect(held.waves[0]?.status).toMatchObject({ state: 'held', reason: 'evidence' });
    expect([held.waves[0]?.status.state, permit(held, 0), permit(held, 1)]).toEqual(['held', true, false]);
    const byHand: RolloutEvent = {
      kind: 'wave',
      wave: 0,
      event: { kind: 'promote-by-hand', by: 'user:bea', reason: 'Three lab pumps.', bakeUntil: start + 24 * hour },
    };
    expect(refusal(held, byHand, start + 23 * hour)).toBe('not-allowed');
    const promoted = through(held, [byHand], start + 24 * hour);
    expect(promoted.waves[0]?.status).toEqual({ state: 'promoted', by: 'user:bea', words: 'Three lab pumps.' });
    expect(refusal(through(held, [e.pause]), byHand, later)).toBe('not-allowed');
  });

  test('a blocked way to the artifact holds the wave; those that have it go on, and their evidence promotes it', () => {
    const tally = { success: 4, failure: 0 };
    const evidence = { reported: tally, silence: tally, pooled: { reported: tally, silence: tally } };
    const blocked = judge(
      { ...evidence, fetching: { fetched: 4, download: 9, space: 0 }, strata: {}, safety: [], control: [] },
      defaultGate,
      later,
    );
    const held = through(running, [{ kind: 'wave', wave: 0, event: judged(blocked) }]);
    expect([held.state, states(held)[0], held.stopped, permit(held, 0), permit(held, 1)]).toEqual([
      ...['running', 'held', undefined, true, false],
    ]);
    const bake = judge(
      {
        ...{ fetching: { fetched: 4_000, download: 9, space: 0 }, strata: {}, safety: [], control: [] },
        ...{ reported: { success: 60, failure: 0 }, silence: { success: 60, failure: 0 } },
        pooled: { reported: { success: 60, failure: 0 }, silence: { success: 60, failure: 0 } },
      },
      defaultGate,
      later,
    );
    expect(states(through(held, [{ kind: 'wave', wave: 0, event: judged(bake) }]))[0]).toBe('baking');
    // Not as soon as a single device turns the test: it would come and go, and people be told each time.
    const better = judge(
      { ...evidence, fetching: { fetched: 50, download: 3, space: 0 }, strata: {}, safety: [], control: [] },
      defaultGate,
      later,
    );
    expect(better).toMatchObject({ reason: 'evidence', fetching: { verdict: 'hold' } });
    const still = through(held, [{ kind: 'wave', wave: 0, event: judged(better) }]);
    expect(still.waves[0]?.status).toMatchObject({ state: 'held', reason: 'fetch' });
    // Failures stop it all the same.
    const broken = { success: 0, failure: 3 };
    const worse = judge(
      {
        ...{ fetching: { fetched: 3, download: 9, space: 0 }, strata: {}, safety: [], control: [] },
        ...{ reported: broken, silence: tally, pooled: { reported: broken, silence: tally } },
      },
      defaultGate,
      later,
    );
    expect(through(held, [{ kind: 'wave', wave: 0, event: judged(worse) }]).state).toBe('paused');
  });

  test('a finding holds the wave and lets nobody in', () => {
    const strata = { 'hardware:B': { success: 0, failure: 4, silent: 0 } };
    const tally = { success: 400, failure: 4 };
    const silence = { success: 404, failure: 0 };
    const finding = judge(
      {
        fetching: { fetched: 404, download: 0, space: 0 },
        reported: tally,
        silence,
        pooled: { reported: tally, silence },
        strata,
        safety: [],
        control: [],
        bakeUntil: start,
      },
      defaultGate,
      later,
    );
    const held = through(running, [{ kind: 'wave', wave: 0, event: judged(finding) }]);
    expect([states(held)[0], permit(held, 0)]).toEqual(['held', false]);
  });

  test('devices that fail after their wave was promoted stop it for good, also while it is watched after the last', () => {
    const alarm: RolloutEvent = { kind: 'alarm', wave: 0, words: 'Many failed.' };
    const soaking = through(running, [0, 1, 2, 3, 4].flatMap(pass), later);
    expect(soaking.state).toBe('soaking');
    for (const rollout of [running, soaking, through(running, [e.pause])]) {
      const stopped = through(rollout, [alarm]);
      expect(stopped).toMatchObject({ state: 'paused', paused: { by: 'gate' }, stopped: 'Many failed.' });
      expect([permit(stopped, 0), refusal(stopped, e.resume)]).toEqual([false, 'not-allowed']);
    }
    const back = through(draftRollout('r-4', { ...definition, onStop: 'roll-back' }, 'user:ada', start), [
      ...[e.planned, e.submit, e.approve, e.start, alarm],
    ]);
    expect(back.state).toBe('rolling-back');
  });

  test('a stop pauses the rollout for good', () => {
    const stopped = through(running, [{ kind: 'wave', wave: 0, event: judged(all(0, 3)) }]);
    expect(stopped).toMatchObject({ state: 'paused', paused: { by: 'gate' } });
    expect([states(stopped)[0], permit(stopped, 0)]).toEqual(['failed', false]);
    expect(refusal(stopped, e.resume)).toBe('not-allowed');
    const next = through(stopped, [e.rollBack]);
    expect([next.state, permit(next, 0), permit(next, 0, 's-1', 'back')]).toEqual(['rolling-back', false, true]);
    expect(refusal(next, { kind: 'rolled-back', unfinished: 1, failed: 0 })).toBe('not-allowed');
    expect(through(next, [{ kind: 'rolled-back', unfinished: 0, failed: 1 }]).state).toBe('rollback-partial');
    expect(through(next, [{ kind: 'rolled-back', unfinished: 0, failed: 0 }]).state).toBe('rolled-back');
  });

  test('or rolls it back by itself when it was told to', () => {
    const told = draftRollout('r-2', { ...definition, onStop: 'roll-back' }, 'user:ada', start);
    const going = through(told, [e.planned, e.submit, e.approve, e.start]);
    expect(through(going, [{ kind: 'wave', wave: 0, event: judged(all(0, 3)) }]).state).toBe('rolling-back');
  });

  test('wait for their windows', () => {
    const wait: RolloutEvent = { kind: 'wave', wave: 0, event: { kind: 'windows-closed', until: start + hour } };
    const waiting = through(running, [wait]);
    expect(waiting.waves[0]?.status).toEqual({ state: 'window-wait', until: '2027-03-01T01:00:00.000Z' });
    expect(permit(waiting, 0)).toBe(false);
    expect(permit(through(waiting, [{ kind: 'wave', wave: 0, event: { kind: 'window-opened' } }]), 0)).toBe(true);
    expect(refusal(running, wait, start + hour)).toBe('not-allowed');
  });
});

describe('operators', () => {
  test('a pause holds from the next look on, in every state of a wave, and goes on where it was', () => {
    const promoted = through(running, pass(0), later);
    const soaking = through(running, [0, 1, 2, 3, 4].flatMap(pass), later);
    for (const rollout of [running, promoted, soaking]) {
      const paused = through(rollout, [e.pause]);
      expect([0, 1, 2, 3, 4].some((wave) => permit(paused, wave))).toBe(false);
      expect(permitOf(paused, { wave: 0, siteId: 's-1', direction: 'forward' })).toMatchObject({
        words: 'Something smells.',
      });
      const resumed = through(paused, [e.resume]);
      expect({ ...resumed, version: 0, since: '' }).toEqual({ ...rollout, version: 0, since: '' });
    }
  });

  test('what happens to devices in a pause still counts', () => {
    const paused = through(running, [e.pause]);
    const stopped = through(paused, [{ kind: 'wave', wave: 0, event: judged(all(0, 3)) }]);
    expect(refusal(stopped, e.resume)).toBe('not-allowed');
    const last = through(running, [0, 1, 2, 3].flatMap(pass), later);
    const resumed = through(last, [e.pause, ...pass(4), e.resume], later);
    expect(resumed.state).toBe('soaking');
  });

  test("a person's pause outlasts a freeze; a freeze does not shorten a person's pause", () => {
    expect(through(running, [e.freeze, e.pause]).paused).toMatchObject({ by: 'operator', from: 'running' });
    expect(refusal(through(running, [e.pause]), e.freeze)).toBe('not-from-here');
  });

  test('one safety event stops it at any time, also when all waves are promoted', () => {
    const soaking = through(running, [0, 1, 2, 3, 4].flatMap(pass), later);
    for (const rollout of [running, soaking, through(running, [e.pause])]) {
      const stopped = through(rollout, [e.safety]);
      expect(stopped).toMatchObject({ state: 'paused', paused: { by: 'safety' } });
      expect(refusal(stopped, e.resume)).toBe('not-allowed');
    }
  });

  test('an abort lets what is being activated finish', () => {
    const aborting = through(running, [e.abort]);
    expect(permit(aborting, 0)).toBe(false);
    expect(refusal(aborting, { kind: 'settled', activating: 1 })).toBe('not-allowed');
    const aborted = through(aborting, [{ kind: 'settled', activating: 0 }]);
    expect([aborted.state, through(aborted, [e.rollBack]).state]).toEqual(['aborted', 'rolling-back']);
  });

  test('skip a site, clone, supersede', () => {
    const skipped = through(running, [e.skip, e.skip]);
    expect([skipped.skippedSites, permit(skipped, 0, 's-3'), permit(skipped, 0, 's-1')]).toEqual([
      ['s-3'],
      false,
      true,
    ]);
    expect(cloneRollout(skipped, 'r-9', 'user:bea', later)).toEqual(draftRollout('r-9', definition, 'user:bea', later));
    expect(through(draft, [e.supersede]).state).toBe('superseded');
    expect(refusal(running, e.supersede)).toBe('not-from-here');
  });

  test('a write that was decided on an older version changes nothing', () => {
    expect(advanceRollout(running, e.pause, running.version - 1, start)).toMatchObject({ ok: false, kind: 'conflict' });
  });
});

test('whatever happens in whatever order: waves go in turn, ends stay, nobody is let in but while it runs', () => {
  const waveEvent = fc.record({
    kind: fc.constant('wave' as const),
    // 5 stands for the wave whose turn it is.
    wave: fc.constantFrom(0, 1, 2, 5, 5, 5, 5),
    event: fc.constantFrom<Exclude<WaveEvent, { kind: 'open' }>>(
      judged(),
      judged(all(60, 0, [], later * 2)),
      judged(all(3), 0),
      judged(all(0, 3)),
      { kind: 'windows-closed', until: later * 2 },
      { kind: 'window-opened' },
      { kind: 'promote-by-hand', by: 'user:bea', reason: 'Looked at.', bakeUntil: start },
    ),
  });
  const other = fc.constantFrom<RolloutEvent>(
    ...Object.values(e),
    { kind: 'settled', activating: 0 },
    { kind: 'soaked', unfinished: 0 },
    { kind: 'rolled-back', unfinished: 0, failed: 0 },
  );
  const events = fc.array(fc.oneof({ weight: 6, arbitrary: waveEvent }, { weight: 1, arbitrary: other }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(events, (happened) => {
      let rollout = running;
      let at = later;
      for (const event of happened) {
        at += 100 * hour;
        const turn = rollout.waves.findIndex(({ status }) => status.state !== 'promoted');
        const outcome = step(rollout, 'wave' in event && event.wave === 5 ? { ...event, wave: turn } : event, at);
        if (!outcome.ok) continue;
        expect(outcome.value.version).toBe(rollout.version + 1);
        rollout = outcome.value;
        const passed = states(rollout).map((state) => state === 'promoted' || state === 'skipped');
        for (const wave of [0, 1, 2, 3, 4]) {
          if (!permit(rollout, wave)) continue;
          expect(['running', 'soaking']).toContain(rollout.state);
          expect(passed.slice(0, wave)).not.toContain(false);
          expect(rollout.stopped).toBeUndefined();
        }
        expect(passed.lastIndexOf(true)).toBeLessThanOrEqual(passed.includes(false) ? passed.indexOf(false) - 1 : 4);
        expect(rollout.paused !== undefined).toBe(rollout.state === 'paused');
      }
    }),
    { numRuns: 500 },
  );
});

test('the picture in docs/rollouts.md has only steps that may happen, and all ends but to be superseded', () => {
  const arrows = arrowsOf('docs/rollouts.md', 'Pause, stop, abort');
  const events: readonly RolloutEvent[] = [
    ...Object.values(e),
    ...[{ kind: 'reject', by: 'user:bea' } as const, { kind: 'expire' } as const],
    ...[{ kind: 'soaked', unfinished: 0 } as const, { kind: 'settled', activating: 0 } as const],
    ...[0, 1].map((failed) => ({ kind: 'rolled-back', unfinished: 0, failed }) as const),
  ];
  // Every state that can be reached, from a rollout whose waves are through and one whose waves are not.
  const soaking = through(running, [0, 1, 2, 3, 4].flatMap(pass), later);
  const steps = new Set<string>(['running soaking']);
  const seen = new Set<string>();
  const open: Rollout[] = [draft, soaking];
  for (let rollout = open.pop(); rollout !== undefined; rollout = open.pop()) {
    for (const next of events) {
      const outcome = step(rollout, next, next.kind === 'soaked' ? later * 2 : start);
      if (!outcome.ok) continue;
      steps.add(`${rollout.state} ${outcome.value.state}`);
      const { state, paused, stopped } = outcome.value;
      const place = [state, paused?.from, paused?.by, stopped].join();
      if (!seen.has(place)) open.push(outcome.value);
      seen.add(place);
    }
  }
  expect(soaking.state).toBe('soaking');
  expect(arrows.filter(({ from, to }) => !steps.has(`${from} ${to}`))).toEqual([]);
  const drawn = new Set(arrows.flatMap(({ from, to }) => [from, to]));
  const reached = new Set([...steps].flatMap((both) => both.split(' ')));
  expect([...reached].filter((state) => !drawn.has(state))).toEqual(['superseded']);
});
