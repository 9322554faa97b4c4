import { defaultGate } from '../../../../../shared/rollouts/gate/gate.ts';
import { type Seen, watch } from '../../../../../shared/rollouts/gate/watch.ts';

const seeds = 2_000;
const nobody: Seen = { reported: { success: 0, failure: 0 }, silence: { success: 0, failure: 0 } };
const seen = (success: number, failure = 0, silent = 0): Seen => ({
  reported: { success, failure },
  silence: { success: success + failure, failure: silent },
});

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

/** Watches device after device; looks at each failure, and now and then, as results come in batches. @returns at which it gave the alarm; undefined when it never did */
function alarmAt(devices: number, rateAt: (device: number) => number, random: () => number): number | undefined {
  let [failure, mark] = [0, nobody];
  for (let device = 0; device < devices; device += 1) {
    const fails = random() < rateAt(device);
    failure += Number(fails);
    if (!fails && device % 10 > 0) continue;
    const result = watch(seen(device + 1 - failure, failure), mark, defaultGate, { devices, waves: 1 });
    if (result.alarm !== undefined) return device;
    mark = result.mark;
  }
  return undefined;
}

describe('watch', () => {
  test('a defect that shows late stops it, whatever came through before', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const at = alarmAt(20_000, (device) => (device < 10_000 ? 0.005 : 0.2), randomOf(seed)) ?? Number.NaN;
      expect(at).toBeGreaterThan(10_000);
      expect(at).toBeLessThan(10_150);
    }
  });

  test('all of a good rollout are stopped no oftener than alpha over 2,000 seeds', () => {
    const { p0, alpha } = defaultGate.failures;
    let stopped = 0;
    for (let seed = 0; seed < seeds; seed += 1) {
      if (alarmAt(1_000, () => p0, randomOf(seed * 7_919 + 1)) !== undefined) stopped += 1;
    }
    expect(stopped / seeds).toBeLessThanOrEqual(alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / seeds));
  });

  test('devices that fall silent stop it too, and what they are counted from goes on by itself', () => {
    const mark = seen(500);
    expect(watch(seen(520, 0, 3), mark, defaultGate, { devices: 600, waves: 1 }).alarm).toBeUndefined();
    expect(watch(seen(520, 0, 7), mark, defaultGate, { devices: 600, waves: 1 })).toMatchObject({
      ...{ alarm: 'silence', silence: { tally: { success: 20, failure: 7 } } },
    });
    const later = seen(700, 2, 5);
    const { mark: next } = watch(later, { ...mark, silence: later.silence }, defaultGate, { devices: 1_000, waves: 1 });
    expect(next).toEqual({ reported: later.reported, silence: later.silence });
  });

  test('a mark that is further on than what was read says nothing', () => {
    const result = watch(seen(10, 1), seen(90, 4), defaultGate, { devices: 100, waves: 1 });
    expect(result.alarm).toBeUndefined();
    expect(result.failures.tally).toEqual({ success: 0, failure: 0 });
  });
});
