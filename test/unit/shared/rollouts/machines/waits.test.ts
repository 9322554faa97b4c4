import fc from 'fast-check';
import { type GateJudgement, GateReason, judge } from '../../../../../shared/rollouts/gate/gate.ts';
import { Verdict } from '../../../../../shared/rollouts/gate/sprt.ts';
import { isPassed } from '../../../../../shared/rollouts/gate/wave.ts';
import type { Wait } from '../../../../../shared/rollouts/machines/wait-store.ts';
import { answersFor, type WaitFacts } from '../../../../../shared/rollouts/machines/waits.ts';
import { advanceRollout, permitOf, type Rollout, type RolloutEvent } from '../../../../../shared/rollouts/rollout.ts';
import { rolloutBegin, rolloutDefinition, storedRollout } from '../../../../support/rollouts.ts';

const hour = 3_600_000;
const nothing = { success: 0, failure: 0 };
const fetching = { fetched: 0, download: 0, space: 0 };
const silent = { fetching, reported: nothing, silence: nothing, pooled: { reported: nothing, silence: nothing } };
const template = judge(
  { ...silent, strata: {}, safety: [], control: [] },
  rolloutDefinition().waves[0]?.gate ?? raise(),
  rolloutBegin,
);
function raise(): never {
  throw new Error('There is a first wave.');
}

const judgement = (verdict: Verdict, reason: GateReason): GateJudgement => ({ ...template, verdict, reason });
const judged = (wave: number, verdict: Verdict, reason: GateReason, waiting = 0): RolloutEvent => ({
  kind: 'wave',
  wave,
  event: { kind: 'judged', judgement: judgement(verdict, reason), waiting, bakeUntil: rolloutBegin },
});

const sites = ['s-1', 's-2', 's-3'];
const definition = rolloutDefinition();
const definitionThatGoesBack = rolloutDefinition({ onStop: 'roll-back' });

/** A rollout whose first wave has begun; the second has nobody. */
const begun = (goesBack = false): Rollout =>
  apply(storedRollout('ro-1', goesBack ? definitionThatGoesBack : definition), [
    { kind: 'planned', digest: 'd', devices: [3, 0, 5, 8, 13] },
    { kind: 'submit', by: 'user:ada', approveUntil: rolloutBegin + hour },
    { kind: 'approve', by: 'user:bea', digest: 'd' },
    { kind: 'start' },
  ]);

/** Those events that are possible, one after the other, each a while after the one before. */
function apply(rollout: Rollout, events: readonly RolloutEvent[], pause = 0): Rollout {
  return events.reduce((current, event, index) => {
    const next = advanceRollout(current, event, current.version, rolloutBegin + index * pause);
    return next.ok ? next.value : current;
  }, rollout);
}

/** The wave bakes, and passes. */
const pass = (wave: number): readonly RolloutEvent[] => [
  judged(wave, Verdict.Hold, GateReason.Bake),
  judged(wave, Verdict.Promote, GateReason.Good),
];

const waveNumber = fc.integer({ min: 0, max: 4 });
const anyEvent: fc.Arbitrary<RolloutEvent> = fc.oneof(
  fc.constantFrom<RolloutEvent>(
    { kind: 'pause', by: 'operator', words: 'Wait.' },
    { kind: 'resume' },
    { kind: 'abort' },
    { kind: 'settled', activating: 0 },
    { kind: 'roll-back' },
    { kind: 'rolled-back', unfinished: 0, failed: 0 },
    { kind: 'soaked', unfinished: 0 },
    { kind: 'safety', event: { deviceId: 'd-1', kind: 'alarm-path-lost', at: new Date(rolloutBegin).toISOString() } },
  ),
  fc.constantFrom(...sites).map((siteId): RolloutEvent => ({ kind: 'skip-site', siteId })),
  fc
    .tuple(
      waveNumber,
      fc.constantFrom<readonly [Verdict, GateReason]>(
        [Verdict.Hold, GateReason.Bake],
        [Verdict.Promote, GateReason.Good],
        [Verdict.Promote, GateReason.Good],
        [Verdict.Hold, GateReason.Stratum],
        [Verdict.Hold, GateReason.Evidence],
        [Verdict.Stop, GateReason.Failures],
      ),
    )
    .map(([wave, [verdict, reason]]) => judged(wave, verdict, reason)),
);

/** Rollouts in all states that events can bring them to, after some of their waves have passed. */
const anyRollout = fc
  .tuple(fc.boolean(), fc.nat(5), fc.array(anyEvent, { maxLength: 30 }))
  .map(([goesBack, passed, events]) =>
    apply(begun(goesBack), [...[0, 1, 2, 3, 4].slice(0, passed).flatMap(pass), ...events], 100 * hour),
  );

const wait = (step: Wait['step'], siteId?: string, wave?: number): Wait => ({
  rolloutId: 'ro-1',
  step,
  ...(siteId === undefined ? {} : { siteId }),
  ...(wave === undefined ? {} : { wave }),
  token: `${step} ${siteId} ${wave}`,
  since: new Date(rolloutBegin).toISOString(),
});
const everyWait = [
  wait('finish'),
  ...sites.flatMap((siteId) => [
    wait('back', siteId),
    ...[0, 2, 3, 4].flatMap((wave) => [
      wait('window', siteId, wave),
      wait('monitor', siteId, wave),
      wait('hold', siteId, wave),
    ]),
  ]),
];
const anyFacts = fc
  .record({ open: fc.boolean(), back: fc.boolean(), backMissing: fc.boolean() })
  .map(({ open, back, backMissing }): WaitFacts => ({ isOpen: () => open, isBack: () => back, backMissing }));

const closed: WaitFacts = { isOpen: () => false, isBack: () => false, backMissing: false };
const verdicts = (rollout: Rollout, waits: readonly Wait[], facts = closed) =>
  answersFor(rollout, waits, facts).map(({ output }) => output.verdict);

const over = new Set<Rollout['state']>(['completed', 'aborted', 'rolled-back', 'rollback-partial']);

describe('answersFor', () => {
  test('the walk of events reaches every state that a rollout can end in', () => {
    const seen = new Set(fc.sample(anyRollout, { numRuns: 3_000, seed: 7 }).map(({ state }) => state));
    expect([...seen].sort()).toEqual(
      ['aborted', 'aborting', 'completed', 'paused', 'rolled-back', 'rolling-back', 'running', 'soaking'].sort(),
    );
  });

  test('every end of a rollout ends every wait; on the way to an end no site waits for a window or a wave', () => {
    fc.assert(
      fc.property(anyRollout, anyFacts, (rollout, facts) => {
        const answered = new Set(answersFor(rollout, everyWait, facts).map(({ wait: { token } }) => token));
        for (const { token, step } of everyWait) {
          const ends = over.has(rollout.state);
          const ending = ends || rollout.state === 'aborting' || rollout.state === 'rolling-back';
          if (ends || (ending && step !== 'finish' && step !== 'back')) expect(answered).toContain(token);
        }
      }),
    );
  });

  test('promotes only what monitors a wave that is passed; a wait in hold is never told that its wave is promoted', () => {
    fc.assert(
      fc.property(anyRollout, anyFacts, (rollout, facts) => {
        for (const { wait: each, output } of answersFor(rollout, everyWait, facts)) {
          if (output.verdict !== 'PROMOTE') continue;
          expect(each.step).not.toBe('hold');
          const wave = rollout.waves[each.wave ?? -1];
          expect(wave !== undefined && isPassed(wave)).toBe(true);
          if (each.step === 'window') expect(wave?.status.state).toBe('skipped');
        }
      }),
    );
  });

  test('opens a wave only in its turn (I6), at a site that takes part, while its window is open', () => {
    fc.assert(
      fc.property(anyRollout, anyFacts, (rollout, facts) => {
        for (const { wait: each, output } of answersFor(rollout, everyWait, facts)) {
          if (output.verdict !== 'OPEN') continue;
          expect(each.step).toBe('window');
          expect(facts.isOpen('', 0)).toBe(true);
          const { siteId = '', wave = -1 } = each;
          expect(permitOf(rollout, { siteId, wave, direction: 'forward' })).toEqual({ allowed: true });
        }
      }),
    );
  });

  test('a pause moves windows and monitors into hold, and hold stays until it is resumed', () => {
    fc.assert(
      fc.property(anyRollout, anyFacts, (rollout, facts) => {
        fc.pre(rollout.state === 'running' || rollout.state === 'soaking');
        const paused = apply(rollout, [{ kind: 'pause', by: 'operator', words: 'Wait.' }]);
        expect(paused.state).toBe('paused');
        for (const { wait: each, output } of answersFor(paused, everyWait, facts)) {
          const skipped = rollout.skippedSites.includes(each.siteId ?? '');
          if (each.step === 'window' || each.step === 'monitor') expect(output.verdict).toBe(skipped ? 'STOP' : 'HOLD');
          if (each.step === 'hold') expect([skipped, output.verdict]).toEqual([true, 'STOP']);
          expect(each.step).not.toBe('finish');
        }
        const resumed = apply(paused, [{ kind: 'resume' }]);
        expect(answersFor(resumed, everyWait, facts)).toEqual(answersFor(rollout, everyWait, facts));
      }),
    );
  });

  test('in the words of one rollout', () => {
    const site = [wait('window', 's-1', 0), wait('monitor', 's-1', 0), wait('hold', 's-1', 0), wait('finish')];
    const running = begun();
    expect(verdicts(running, site)).toEqual(['RESUME']);
    expect(verdicts(running, site, { ...closed, isOpen: () => true })).toEqual(['OPEN', 'RESUME']);
    expect(verdicts(running, [wait('window', 's-1', 2)], { ...closed, isOpen: () => true })).toEqual([]);

    const held = apply(running, [judged(0, Verdict.Hold, GateReason.Stratum)]);
    expect(verdicts(held, site)).toEqual(['HOLD']);
    const promoted = apply(running, pass(0));
    expect(verdicts(promoted, site)).toEqual(['PROMOTE', 'RESUME']);
    expect(verdicts(promoted, [wait('window', 's-1', 1)])).toEqual(['PROMOTE']);

    const left = apply(running, [{ kind: 'skip-site', siteId: 's-1' }]);
    expect(verdicts(left, site)).toEqual(['STOP', 'STOP', 'STOP']);
    expect(verdicts(left, [wait('hold', 's-2', 0)])).toEqual(['RESUME']);

    const stopped = apply(running, [judged(0, Verdict.Stop, GateReason.Failures)]);
    expect(stopped).toMatchObject({ state: 'paused', paused: { by: 'gate' } });
    expect(verdicts(stopped, site)).toEqual(['HOLD', 'HOLD']);
    const aborting = apply(stopped, [{ kind: 'abort' }]);
    expect(verdicts(aborting, site)).toEqual(['STOP', 'STOP', 'STOP']);
    expect(verdicts(apply(aborting, [{ kind: 'settled', activating: 0 }]), [wait('finish')])).toEqual(['DONE']);
  });

  test('the way back: each site when its devices are back, and whoever is left is told by the whole', () => {
    const back = apply(begun(), [{ kind: 'roll-back' }]);
    const waits = [wait('monitor', 's-1', 0), wait('back', 's-2'), wait('finish')];
    expect(verdicts(back, waits)).toEqual(['ROLLBACK']);
    expect(verdicts(back, waits, { ...closed, isBack: () => true })).toEqual(['ROLLBACK', 'DONE']);
    expect(verdicts(back, waits, { ...closed, backMissing: true })).toEqual(['ROLLBACK', 'ROLLBACK']);
    const done = apply(back, [{ kind: 'rolled-back', unfinished: 0, failed: 0 }]);
    expect(verdicts(done, [wait('back', 's-2'), wait('finish')])).toEqual(['DONE', 'DONE']);
  });

  test('a wait for a wave that does not exist does not last for ever', () => {
    expect(verdicts(begun(), [wait('window', 's-1', 9), wait('hold', 's-1')])).toEqual(['STOP', 'STOP']);
  });
});
