import fc from 'fast-check';
import { gateFor } from '../../../../../shared/rollouts/gate/gate.ts';
import { cleanDevicesFor, wilsonInterval, worstShareAfter } from '../../../../../shared/rollouts/gate/intervals.ts';
import {
  cleanDevicesToPromote,
  defaultTest,
  InvalidTestSettings,
  sequentialTest,
  type TestSettings,
  Verdict,
} from '../../../../../shared/rollouts/gate/sprt.ts';

const seeds = 2_000;

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How often each verdict comes first when devices fail at this rate, looked at after each of them. */
function verdictsAt(rate: number, settings: TestSettings, devices: number) {
  const counts = { promote: 0, hold: 0, stop: 0, lost: 0 };
  for (let seed = 0; seed < seeds; seed += 1) {
    const random = randomOf(seed * 7_919 + 1);
    const tally = { success: 0, failure: 0 };
    let verdict: Verdict = Verdict.Hold;
    for (let device = 0; device < devices && verdict === Verdict.Hold; device += 1) {
      tally[random() < rate ? 'failure' : 'success'] += 1;
      verdict = sequentialTest(tally, settings).verdict;
    }
    counts[verdict] += 1;
    counts.lost += tally.failure;
  }
  return counts;
}

const bound = (rate: number) => rate + 3 * Math.sqrt((rate * (1 - rate)) / seeds);

describe('sequentialTest', () => {
  test('55 clean devices promote, two early failures stop, nothing is known at the beginning', () => {
    const verdict = (success: number, failure: number) => sequentialTest({ success, failure }, defaultTest).verdict;
    expect(cleanDevicesToPromote(defaultTest)).toBe(55);
    expect([verdict(54, 0), verdict(55, 0)]).toEqual([Verdict.Hold, Verdict.Promote]);
    expect([verdict(0, 1), verdict(0, 2)]).toEqual([Verdict.Hold, Verdict.Stop]);
    const begin = sequentialTest({ success: 0, failure: 0 }, defaultTest);
    expect(begin).toMatchObject({ verdict: Verdict.Hold, successesToPromote: 55, failuresToStop: 2 });
    expect(begin.position).toBeCloseTo(0.438, 3);
  });

  test('stops a good rollout no oftener than alpha over 2,000 seeds, looked at after each device', () => {
    for (const settings of [defaultTest, gateFor(0.1).failures, gateFor(0.3).failures, gateFor(0.5).failures]) {
      const { stop } = verdictsAt(settings.p0, settings, 600);
      expect(stop / seeds).toBeLessThanOrEqual(bound(settings.alpha));
    }
  });

  test('promotes a bad one no oftener than beta, and loses few devices to a very bad one', () => {
    expect(verdictsAt(defaultTest.p1, defaultTest, 600).promote / seeds).toBeLessThanOrEqual(bound(defaultTest.beta));
    const bad = verdictsAt(0.15, defaultTest, 600);
    expect(bad.stop / seeds).toBeGreaterThan(0.98);
    expect(bad.lost / seeds).toBeLessThan(4);
  });

  test('what it says is missing is exactly what is missing', () => {
    const share = fc.double({ min: 0.001, max: 0.4, noNaN: true });
    const settings = fc.record({ p0: share, more: share, alpha: share, beta: share });
    fc.assert(
      fc.property(fc.nat(500), fc.nat(20), settings, (success, failure, { p0, more, alpha, beta }) => {
        const asked = { p0, p1: p0 + more, alpha, beta };
        const result = sequentialTest({ success, failure }, asked);
        fc.pre(result.verdict === Verdict.Hold);
        const { successesToPromote: good, failuresToStop: bad } = result;
        const verdictWith = (g: number, b: number) =>
          sequentialTest({ success: success + g, failure: failure + b }, asked).verdict;
        expect([good > 0, bad > 0]).toEqual([true, true]);
        expect([verdictWith(good, 0), verdictWith(good - 1, 0)]).toEqual([Verdict.Promote, Verdict.Hold]);
        expect([verdictWith(0, bad), verdictWith(0, bad - 1)]).toEqual([Verdict.Stop, Verdict.Hold]);
        expect(result.position).toBeGreaterThan(0);
        expect(result.position).toBeLessThan(1);
      }),
    );
  });

  test('refuses settings that ask nothing', () => {
    for (const wrong of [{ p0: 0 }, { p0: 0.05 }, { p1: 1 }, { alpha: 0 }, { alpha: 0.95 }, { p0: Number.NaN }]) {
      expect(() => sequentialTest({ success: 0, failure: 0 }, { ...defaultTest, ...wrong })).toThrow(
        InvalidTestSettings,
      );
    }
  });
});

describe('cleanDevicesFor', () => {
  test('is the table of Clopper and Pearson for no failure', () => {
    expect([0.005, 0.01, 0.02, 0.05, 0.1].map((share) => cleanDevicesFor(share))).toEqual([598, 299, 149, 59, 29]);
    expect(worstShareAfter(10)).toBeCloseTo(0.259, 3);
    expect(worstShareAfter(0)).toBe(1);
  });
});

describe('wilsonInterval', () => {
  test('is that of the textbook, and everything when nothing was seen', () => {
    const { low, high } = wilsonInterval({ success: 90, failure: 10 });
    expect(low).toBeCloseTo(0.0552, 4);
    expect(high).toBeCloseTo(0.1744, 4);
    expect(wilsonInterval({ success: 0, failure: 0 })).toEqual({ low: 0, high: 1 });
    expect(wilsonInterval({ success: 10, failure: 0 }).low).toBe(0);
    expect(wilsonInterval({ success: 0, failure: 3 }).high).toBe(1);
  });
});
