import fc from 'fast-check';
import { Gate, type GateDecision, GateEffect } from '../../../../../shared/commands/gates/gate.ts';
import {
  type AdmissionQuestion,
  admit,
  relook,
  unitBudget,
} from '../../../../../shared/rollouts/admission/admission.ts';

const now = Date.parse('2027-03-01T03:00:00Z');
const iso = (at: number) => new Date(at).toISOString();
const decision = (gate: Gate, more: Partial<GateDecision> = {}): GateDecision => ({
  ...{ gate, at: iso(now), effect: GateEffect.Allow, ruleId: 'R1', reason: 'Fine.', inputs: [] },
  ...more,
});
const question = (more: Partial<AdmissionQuestion> = {}): AdmissionQuestion => ({
  ...{ deviceId: 'd-1', permit: { allowed: true }, budget: 2, outOfService: 1, window: { open: true }, now },
  ...{ brake: decision(Gate.Brake), interlock: decision(Gate.Interlock) },
  ...more,
});
const inUse = (more: Partial<GateDecision> = {}) =>
  decision(Gate.Interlock, { effect: GateEffect.Defer, reason: 'In use.', until: iso(now + 1_800_000), ...more });

describe('unitBudget', () => {
  test('is what is left of what must stay; one at a time where nothing is said', () => {
    expect(unitBudget({ devices: 10, keep: 8 })).toBe(2);
    expect(unitBudget({ devices: 3, keep: 8 })).toBe(0);
    expect(unitBudget({ devices: 10, keep: undefined })).toBe(1);
    expect(unitBudget({ devices: 0, keep: undefined })).toBe(0);
  });
});

describe('admit', () => {
  test('lets one device in, to be written at once', () => {
    expect(admit(question())).toEqual({
      ...{ admitted: true, deviceId: 'd-1', at: now, validUntil: now + 10_000, outOfService: 1, budget: 2 },
    });
  });

  test('each reason to wait has its name, its words and its time', () => {
    const cases: readonly (readonly [Partial<AdmissionQuestion>, string, number])[] = [
      [{ permit: { allowed: false, reason: 'paused', words: 'Paused.' } }, 'paused', now + relook],
      [
        { brake: decision(Gate.Brake, { effect: GateEffect.Defer, until: iso(now + 300_000) }) },
        'brake',
        now + 300_000,
      ],
      [{ window: { open: false, opensAt: now + 3_600_000 } }, 'window', now + 3_600_000],
      [{ window: { open: false, opensAt: undefined } }, 'window', now + 86_400_000],
      [{ interlock: inUse() }, 'in-use', now + 1_800_000],
      [{ interlock: inUse({ ruleId: 'R7' }) }, 'acceptance', now + 1_800_000],
      [
        { interlock: inUse({ inputs: [{ signal: 'charging', value: false, source: 'device' }] }) },
        'battery',
        now + 1_800_000,
      ],
      [{ outOfService: 2 }, 'unit-budget', now + relook],
      [{ budget: 0, outOfService: 0 }, 'unit-budget', now + relook],
    ];
    for (const [more, reason, until] of cases) {
      expect(admit(question(more))).toMatchObject({
        admitted: false,
        reason,
        until,
        words: expect.stringMatching(/\.$/),
      });
    }
  });

  test('an old yes is no evidence, nor is one from the future or without a time', () => {
    for (const at of [iso(now - 5_001), iso(now + 1), 'yesterday']) {
      expect(admit(question({ interlock: decision(Gate.Interlock, { at }) }))).toMatchObject({ reason: 'in-use' });
      expect(admit(question({ brake: decision(Gate.Brake, { at }) }))).toMatchObject({ reason: 'brake' });
    }
  });

  test('never more than the budget, never without each yes, and never waiting without an end', () => {
    const effect = fc.constantFrom(...Object.values(GateEffect));
    const number = fc.oneof(fc.nat(5), fc.constant(Number.NaN));
    const until = fc.constantFrom(undefined, iso(now - 1), iso(now + 60_000), 'never');
    fc.assert(
      fc.property(
        number,
        number,
        effect,
        effect,
        fc.boolean(),
        until,
        (budget, outOfService, one, other, open, end) => {
          const late = end === undefined ? {} : { until: end };
          const answer = admit(
            question({
              ...{ budget, outOfService, window: open ? { open } : { open, opensAt: now - 5 } },
              brake: decision(Gate.Brake, { effect: one, ...late }),
              interlock: decision(Gate.Interlock, { effect: other, ...late }),
            }),
          );
          const yes = outOfService < budget && one === 'allow' && other === 'allow' && open;
          expect(answer.admitted).toBe(yes);
          if (!answer.admitted) expect(answer.until).toBeGreaterThan(now);
        },
      ),
    );
  });
});
