import fc from 'fast-check';
import { chanceOfDifference, compareWithControl } from '../../../../../shared/rollouts/gate/control.ts';

const groups = (affected: number, watched: number, otherAffected: number, otherWatched: number) => ({
  updated: { affected, watched },
  notYet: { affected: otherAffected, watched: otherWatched },
});

describe('chanceOfDifference', () => {
  test('is that of the lady who tastes tea', () => {
    expect(chanceOfDifference(groups(4, 4, 0, 4))).toBeCloseTo(1 / 70, 10);
    expect(chanceOfDifference(groups(3, 4, 1, 4))).toBeCloseTo(17 / 70, 10);
  });

  test('is a probability, certain when no updated device is affected, and falls with each affected one', () => {
    const watched = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(watched, watched, fc.nat(400), fc.nat(400), (one, other, a, b) => {
        const [affected, otherAffected] = [Math.min(a, one), Math.min(b, other)];
        const chance = chanceOfDifference(groups(affected, one, otherAffected, other));
        expect(chance).toBeGreaterThan(0);
        expect(chance).toBeLessThanOrEqual(1);
        expect(chanceOfDifference(groups(0, one, otherAffected, other))).toBeCloseTo(1, 9);
        if (affected === 0 || otherAffected === other) return;
        const less = chanceOfDifference(groups(affected - 1, one, otherAffected + 1, other));
        expect(chance).toBeLessThanOrEqual(less + 1e-12);
      }),
    );
  });

  test('keeps its accuracy with a hundred thousand devices', () => {
    expect(chanceOfDifference(groups(500, 50_000, 500, 50_000))).toBeCloseTo(0.5127, 3);
    expect(chanceOfDifference(groups(600, 50_000, 500, 50_000))).toBeCloseTo(0.00134, 5);
  });
});

describe('compareWithControl', () => {
  test('finds the stratum that is harmed, and not one where all are', () => {
    const broken = { stratum: 's-1/B/T2', ...groups(12, 20, 3, 60) };
    const network = { stratum: 's-2/A/T2', ...groups(15, 20, 44, 60) };
    const result = compareWithControl([network, broken], 0.01);
    expect(result).toMatchObject({ harm: true, findings: [{ stratum: 's-1/B/T2' }] });
  });

  test('says nothing where there is nobody to compare with', () => {
    expect(compareWithControl([{ stratum: 'all', ...groups(20, 20, 0, 0) }], 0.01).harm).toBe(false);
    expect(compareWithControl([], 0.01)).toEqual({ harm: false, findings: [] });
  });
});
