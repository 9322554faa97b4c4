import fc from 'fast-check';
import {
  defaultGate,
  type Fetching,
  GateReason,
  gateFor,
  judge,
  type SafetyEvent,
  type WaveEvidence,
} from '../../../../../shared/rollouts/gate/gate.ts';
import type { StratumTally, Tally } from '../../../../../shared/rollouts/gate/sprt.ts';

const tally = (success: number, failure = 0): Tally => ({ success, failure });
const stratum = (success: number, failure = 0, silent = 0): StratumTally => ({ success, failure, silent });
const fetching = (fetched: number, download = 0, space = 0): Fetching => ({ fetched, download, space });
const sum = (a: Tally, b: Tally): Tally => ({ success: a.success + b.success, failure: a.failure + b.failure });
const bakeUntil = Date.parse('2027-03-01T00:00:00Z');

/** Evidence of a wave, with what earlier waves brought. */
function evidence(reported: Tally, more: Partial<WaveEvidence> = {}, earlier = tally(0)): WaveEvidence {
  const silence = more.silence ?? tally(reported.success + reported.failure);
  const before = tally(earlier.success + earlier.failure);
  return {
    ...{ reported, silence, pooled: { reported: sum(reported, earlier), silence: sum(silence, before) } },
    ...{ fetching: fetching(reported.success + reported.failure), strata: {}, safety: [], control: [], bakeUntil },
    ...more,
  };
}
const say = (of: WaveEvidence, settings = defaultGate, now = bakeUntil) => {
  const { verdict, reason } = judge(of, settings, now);
  return [verdict, reason];
};
const lost: SafetyEvent = { deviceId: 'd-7', kind: 'not-returned-to-service', at: '2027-02-28T12:00:00.000Z' };

describe('judge', () => {
  test('promotes on enough evidence after the bake', () => {
    expect(say(evidence(tally(55)))).toEqual(['promote', GateReason.Good]);
    expect(say(evidence(tally(55)), defaultGate, bakeUntil - 1)).toEqual(['hold', GateReason.Bake]);
    const { bakeUntil: _bakeUntil, ...unbaked } = evidence(tally(55));
    expect(say(unbaked)).toEqual(['hold', GateReason.Bake]);
  });

  test('holds on too little, in words and numbers', () => {
    const judgement = judge(evidence(tally(20)), defaultGate, bakeUntil);
    expect(judgement).toMatchObject({ verdict: 'hold', reason: 'evidence' });
    expect(judgement.words).toContain('35 more must come through without another failure; 3 more failures stop it.');
    expect(say(evidence(tally(0)))).toEqual(['hold', GateReason.Evidence]);
  });

  test('one safety event stops, whatever else is known', () => {
    expect(say(evidence(tally(10_000), { safety: [lost] }))).toEqual(['stop', GateReason.SafetyEvent]);
    expect(judge(evidence(tally(1), { safety: [lost] }), defaultGate, 0).words).toContain('d-7');
  });

  test('devices that stay silent stop it although all that report came through', () => {
    expect(say(evidence(tally(55), { silence: tally(55, 12) }))).toEqual(['stop', GateReason.Silence]);
    expect(say(evidence(tally(55), { silence: tally(55, 4) }))[0]).toBe('hold');
  });

  test('earlier waves help to promote, and do not thin the failures of this one', () => {
    expect(say(evidence(tally(20), {}, tally(35)))).toEqual(['promote', GateReason.Good]);
    expect(say(evidence(tally(20), {}, tally(10)))).toEqual(['hold', GateReason.Evidence]);
    // Nothing of this wave itself: nothing is known of what is new in it.
    expect(say(evidence(tally(0), {}, tally(1_000)))).toEqual(['hold', GateReason.Evidence]);
    // Its own evidence points the other way.
    expect(say(evidence(tally(20, 1), {}, tally(1_000)))).toEqual(['hold', GateReason.Evidence]);
    expect(say(evidence(tally(5, 3), {}, tally(100_000)))).toEqual(['stop', GateReason.Failures]);
  });

  test('a stratum that fails holds the wave although the whole looks good', () => {
    const strata = { 'hardware:A': stratum(400), 'hardware:B': stratum(1, 4) };
    const judgement = judge(evidence(tally(401, 4), { strata }), defaultGate, bakeUntil);
    expect(judgement).toMatchObject({ verdict: 'hold', reason: 'stratum', strata: [{ stratum: 'hardware:B' }] });
    expect(judgement.words).toMatch(/^hardware:B: 4 of 5 devices failed/);
  });

  test('so does one whose devices fall silent, which the whole is too large to show', () => {
    const silent = { 'hardware:A': stratum(400, 0, 1), 'hardware:B': stratum(20, 0, 8) };
    const quiet = evidence(tally(420), { silence: tally(420, 9), strata: silent });
    const judgement = judge(quiet, defaultGate, bakeUntil);
    expect(judgement).toMatchObject({ verdict: 'hold', strata: [{ stratum: 'hardware:B', of: 'silence' }] });
    expect(judgement.words).toMatch(/^hardware:B: 8 of 28 devices did not report after the activation/);
    expect(say({ ...quiet, strata: {} })).toEqual(['promote', GateReason.Good]);
  });

  test('devices that cannot fetch the artifact hold the wave, in words that name the cause, and never stop it', () => {
    const blocked = judge(evidence(tally(5), { fetching: fetching(6, 10, 2) }), defaultGate, bakeUntil);
    expect(blocked).toMatchObject({ verdict: 'hold', reason: 'fetch', failures: { tally: { failure: 0 } } });
    expect(blocked.words).toBe(
      '12 of 18 devices could not fetch the artifact (the download failed on 10, 2 had no space), which says nothing of the artifact. Look at their way to it, and at their storage.',
    );
    expect(say(evidence(tally(0), { fetching: fetching(0, 10_000) }))).toEqual(['hold', GateReason.Fetch]);
    // A few among many are told, and hold nothing.
    expect(say(evidence(tally(55), { fetching: fetching(400, 2) }))).toEqual(['promote', GateReason.Good]);
    const few = judge(evidence(tally(20), { fetching: fetching(400, 0, 2) }), defaultGate, bakeUntil);
    expect(few).toMatchObject({ reason: 'evidence' });
    expect(few.words).toContain('2 of 402 devices could not fetch the artifact (2 had no space)');
    // What stops, stops all the same.
    expect(say(evidence(tally(0, 2), { fetching: fetching(2, 50) }))).toEqual(['stop', GateReason.Failures]);
  });

  test('harm that the installer calls a success holds the wave', () => {
    const control = [
      { stratum: 's-1/B/T2', updated: { affected: 12, watched: 20 }, notYet: { affected: 3, watched: 60 } },
    ];
    const judgement = judge(evidence(tally(60), { control }), defaultGate, bakeUntil);
    expect(judgement).toMatchObject({ verdict: 'hold', reason: 'control' });
    expect(judgement.words).toContain('12 of 20 updated devices lost their connection');
  });

  test('small waves are judged on gross defects', () => {
    expect(say(evidence(tally(4)), gateFor(0.5))[0]).toBe('promote');
    expect(say(evidence(tally(0, 1)), gateFor(0.5))).toEqual(['stop', GateReason.Failures]);
    expect(say(evidence(tally(7)), gateFor(0.3))[0]).toBe('promote');
  });

  test('never promotes on nothing, on a safety event, or before the bake is over', () => {
    const some = fc.record({ success: fc.nat(400), failure: fc.nat(10) });
    fc.assert(
      fc.property(
        some,
        some,
        some,
        fc.boolean(),
        fc.integer({ min: -5, max: 5 }),
        (own, silence, earlier, event, late) => {
          const of = evidence(own, { silence, safety: event ? [lost] : [] }, earlier);
          const judgement = judge(of, defaultGate, bakeUntil + late);
          if (own.success === 0 || silence.success === 0 || late < 0) expect(judgement.verdict).not.toBe('promote');
          if (event) expect(judgement.verdict).toBe('stop');
          if (judgement.failures.verdict === 'stop') expect(judgement.verdict).toBe('stop');
        },
      ),
    );
  });

  test('after the devices that it asks for it asks for nothing more', () => {
    const some = fc.record({ success: fc.nat(100), failure: fc.nat(3) });
    fc.assert(
      fc.property(some, some, (own, earlier) => {
        const asked = (n: number) => {
          const of = evidence(sum(own, tally(n)), { silence: tally(10_000) }, earlier);
          return judge(of, defaultGate, bakeUntil);
        };
        const judgement = asked(0);
        fc.pre(judgement.reason === 'evidence');
        const more = Number(/: (\d+) more must/.exec(judgement.words)?.[1]);
        expect(more).toBeGreaterThan(0);
        expect(asked(more).verdict).toBe('promote');
        expect(asked(more - 1).verdict).toBe('hold');
      }),
    );
  });
});
