import fc from 'fast-check';
import { CommandType } from '../../../../shared/commands/command.ts';
import type { GateDecision } from '../../../../shared/commands/gates/gate.ts';
import { DeviceClass } from '../../../../shared/devices/device.ts';
import { decideInterlock, decideOn } from '../../../../shared/interlock/decide.ts';
import { Disruption, disruptionOf, isMobile } from '../../../../shared/interlock/disruption.ts';
import type { DeviceFacts, Observation } from '../../../../shared/interlock/observe.ts';
import { defaultInterlock } from '../../../../shared/interlock/settings.ts';
import { losesProtection } from '../../../../shared/interlock/strictness.ts';
import { command, device, now, observation } from './arbitrary.ts';

const ago = (seconds: number) => new Date(now - seconds * 1_000).toISOString();
const open = { zone: 'America/New_York', windows: [], blackouts: [], freezes: [] };
const ward = { tier: 'T2' as const, tierSince: ago(86_400), calendar: open };
const restart = { type: CommandType.Restart, parameters: {} };
const wipe = { type: CommandType.Wipe, parameters: {} };
const lock = { type: CommandType.Lock, parameters: {} };
const install = { type: CommandType.InstallUpdate, parameters: { version: '1', activate: 'now' } };
const charged = { power: { charging: true, percent: 90 }, posture: { hash: 'h', at: ago(4_000) } };
const idle = { clinical: { state: 'idle' as const, at: ago(3_600) } };
const rank = { deny: 0, approval: 0, defer: 1, allow: 2 } as const;

const seen = (of: DeviceFacts, more: Partial<Observation> = {}): Observation => ({
  device: of,
  place: ward,
  clinicalSaidAt: now,
  now,
  ...more,
});
const verdict = ({ effect, ruleId }: GateDecision) => `${effect} ${ruleId}`;
const pump = (more: Partial<DeviceFacts>): DeviceFacts => ({ class: DeviceClass.InfusionPump, ...more });

describe('decideInterlock, case by case', () => {
  test.each<[string, Parameters<typeof decideInterlock>[0], Observation, string]>([
    ['a pump in use', restart, seen(pump({ clinical: { state: 'in-use', at: ago(60) } })), 'defer R11'],
    ['a pump that never said anything', restart, seen(pump({}), { clinicalSaidAt: undefined }), 'defer R1'],
    ['a pump that does not know', restart, seen(pump({ clinical: { state: 'unknown', at: ago(5) } })), 'defer R1'],
    ['a pump that is idle', restart, seen(pump(idle)), 'allow R1'],
    ['a pump that was idle', restart, seen(pump(idle), { clinicalSaidAt: undefined }), 'defer R1'],
    ['a pump that was idle a minute ago', restart, seen(pump(idle), { clinicalSaidAt: now - 60_000 }), 'allow R1'],
    ['a pump that was idle 61 s ago', restart, seen(pump(idle), { clinicalSaidAt: now - 61_000 }), 'defer R1'],
    [
      'an idle pump in a bed with a patient',
      restart,
      seen(
        pump({
          ...idle,
          signals: { 'ehr-occupancy': { state: 'occupied', at: ago(50_000), until: ago(9), source: 'user:ehr' } },
        }),
      ),
      'defer R11',
    ],
    [
      'an idle pump with an associated patient',
      restart,
      seen(pump({ clinical: { state: 'idle', at: ago(9), contextAssociation: 'Assoc' } })),
      'defer R11',
    ],
    ['a pump in use, erased', wipe, seen(pump({ clinical: { state: 'in-use', at: ago(60) } })), 'deny R2'],
    ['an unknown pump, erased', wipe, seen(pump({}), { clinicalSaidAt: undefined }), 'deny R1'],
    ['a pump that was idle, erased', wipe, seen(pump(idle), { clinicalSaidAt: undefined }), 'defer R1'],
    ['an idle pump, erased', wipe, seen(pump(idle)), 'allow R1'],
    ['an idle pump on battery, updated', install, seen(pump(idle)), 'defer R11'],
    ['an idle pump on its charger, updated', install, seen(pump({ ...idle, ...charged })), 'allow R9'],
    [
      'an idle pump with a low battery, updated',
      install,
      seen(pump({ ...idle, ...charged, power: { charging: true, percent: 29 } })),
      'defer R11',
    ],
    [
      'an idle pump in intensive care, updated',
      install,
      seen(pump({ ...idle, ...charged }), { place: { ...ward, tier: 'T0' } }),
      'defer R7',
    ],
    [
      'an idle pump that stands nowhere, updated',
      install,
      seen(pump({ ...idle, ...charged }), { place: undefined }),
      'defer R7',
    ],
    [
      'a pump in service in intensive care, updated',
      install,
      seen(pump({ clinical: { state: 'service', at: ago(600) } }), { place: { ...ward, tier: 'T0' } }),
      'allow R7',
    ],
    [
      'a pump whose SDC mode is maintenance, updated',
      install,
      seen(pump({ clinical: { state: 'idle', at: ago(600), operatingMode: 'Mtn' } })),
      'allow R7',
    ],
    ['a ventilator on a ward, updated', install, seen({ class: 'ventilator', ...idle, ...charged }), 'defer R7'],
    [
      'an idle pump, updated outside the window',
      install,
      seen(pump({ ...idle, ...charged }), {
        place: { ...ward, calendar: { ...open, windows: [{ days: ['wed'], from: '01:00', to: '02:00' }] } },
      }),
      'defer R9',
    ],
    ['a phone that says nothing', restart, seen({ class: 'phone' }, { clinicalSaidAt: undefined }), 'defer R1'],
    [
      'a phone that is idle in somebody’s pocket',
      restart,
      seen({ class: 'phone', ...idle, power: { charging: false } }),
      'defer R1',
    ],
    ['a phone that is idle in its dock', restart, seen({ class: 'phone', ...idle, ...charged }), 'allow R1'],
    ['an idle workstation', restart, seen({ class: 'workstation', ...idle }), 'allow R1'],
    ['a phone in the office', restart, seen({ class: 'phone' }, { place: { ...ward, tier: 'T3' } }), 'allow R7'],
    ['a pump in the office', restart, seen(pump({}), { place: { ...ward, tier: 'T3' } }), 'defer R1'],
    [
      'a phone in the office in use',
      restart,
      seen({ class: 'phone', clinical: { state: 'in-use', at: ago(9) } }, { place: { ...ward, tier: 'T3' } }),
      'defer R11',
    ],
    ['a phone that says nothing, locked', lock, seen({ class: 'phone' }), 'allow R15'],
    ['a pump that says nothing, locked', lock, seen(pump({})), 'defer R1'],
    [
      'a phone that is checked out, locked',
      lock,
      seen({
        class: 'phone',
        signals: { session: { state: 'open', at: ago(600), until: ago(-600), source: 'user:hub' } },
      }),
      'defer R15',
    ],
    [
      'a phone that is overdue, locked',
      lock,
      seen({
        class: 'phone',
        signals: { session: { state: 'open', at: ago(60_000), until: ago(600), source: 'user:hub' } },
      }),
      'allow R15',
    ],
    [
      'a phone that is overdue, restarted',
      restart,
      seen({
        class: 'phone',
        ...idle,
        ...charged,
        signals: { session: { state: 'open', at: ago(60_000), until: ago(600), source: 'user:hub' } },
      }),
      'defer R11',
    ],
    [
      'a docked phone without a session',
      wipe,
      seen({
        class: 'phone',
        ...charged,
        signals: { session: { state: 'none', at: ago(600), until: ago(-600), source: 'user:hub' } },
      }),
      'allow R1',
    ],
    ['a pump in use, asked for its inventory', { type: 'inventory', parameters: {} }, seen(pump({})), 'allow R11'],
  ])('%s', (_name, asked, of, expected) => {
    const decision = decideInterlock(asked, of);
    expect([verdict(decision), decision.reason]).toEqual([expected, decision.reason]);
    expect(decision.until !== undefined).toBe(decision.effect === 'defer');
  });

  test('says what it decided on, the deciding signal first, with its source and age', () => {
    const decision = decideInterlock(
      restart,
      seen(pump({ clinical: { state: 'in-use', at: ago(840) } }), { clinicalSaidAt: now - 3_000 }),
    );
    expect(decision).toEqual({
      gate: 'interlock',
      at: ago(0),
      effect: 'defer',
      ruleId: 'R11',
      reason: 'The device says that it is in use.',
      until: ago(-1_800),
      inputs: [
        { signal: 'device-state', value: 'in-use', source: 'device', at: ago(3), ageSeconds: 3 },
        { signal: 'device-class', value: 'infusion-pump', source: 'directory' },
        { signal: 'tier', value: 'T2', source: 'directory', at: ago(86_400), ageSeconds: 86_400 },
        { signal: 'charging', value: 'unknown', source: 'device' },
      ],
    });
  });

  test('waits for the maintenance window until it opens', () => {
    const calendar = { ...open, windows: [{ days: ['wed' as const], from: '01:00', to: '02:00' }] };
    const decision = decideInterlock(install, seen(pump({ ...idle, ...charged }), { place: { ...ward, calendar } }));
    expect(decision).toMatchObject({ ruleId: 'R9', until: '2027-03-17T05:00:00.000Z' });
  });

  test('a restart from a time on waits for that time, also in an emergency', () => {
    const from = (notBefore: string) => ({ type: CommandType.Restart, parameters: { notBefore } });
    for (const forced of [false, true]) {
      const early = decideInterlock(from('2027-03-14T14:00:00+01:00'), seen(pump(idle)), { forced });
      expect(early).toMatchObject({ effect: 'defer', ruleId: 'R11', until: '2027-03-14T13:00:00.000Z' });
      expect(decideInterlock(from(ago(0)), seen(pump(idle)), { forced }).effect).toBe('allow');
    }
  });

  test('break-glass reaches a monitor and an idle pump, never a ventilator or a pump in therapy', () => {
    const forced = (of: DeviceFacts, more: Partial<Observation> = {}) =>
      verdict(decideInterlock(restart, seen(of, more), { forced: true }));
    const bed = { 'ehr-occupancy': { state: 'occupied', at: ago(60), until: ago(-60), source: 'user:ehr' } } as const;
    expect(forced({ class: 'patient-monitor' })).toBe('allow R12');
    expect(forced(pump({ ...idle, signals: bed }))).toBe('allow R12');
    expect(forced(pump({ ...idle, signals: bed }), { clinicalSaidAt: undefined })).toBe('defer R11');
    expect(forced(pump({ clinical: { state: 'in-use', at: ago(9) } }))).toBe('defer R11');
    expect(forced({ class: 'ventilator', ...idle, signals: bed })).toBe('defer R11');
    const decision = decideInterlock(wipe, seen(pump({})), { forced: true });
    expect(decision).toMatchObject({ effect: 'deny', reason: expect.stringContaining('cannot be forced (R12)') });
  });
});

const options = { numRuns: 3_000 };
const strict = (asked: { type: CommandType; parameters: object }, of: Observation) => {
  const disruption = disruptionOf({ ...asked, parameters: { ...asked.parameters } }, of.device.class);
  return disruption !== undefined && disruption !== Disruption.HidesScreen ? disruption : undefined;
};

describe('decideInterlock, always', () => {
  test('any sign of use blocks, however old', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        fc.pre(strict(asked, of) !== undefined);
        const { clinical, signals } = of.device;
        const used =
          clinical?.state === 'in-use' ||
          ['Assoc', 'Pre'].includes(clinical?.contextAssociation ?? '') ||
          signals?.session?.state === 'open' ||
          signals?.['ehr-occupancy']?.state === 'occupied';
        if (used) expect(decideInterlock(asked, of).effect).not.toBe('allow');
      }),
      options,
    );
  });

  test('unknown and stale never let anything through where there are patients', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        fc.pre(strict(asked, of) !== undefined);
        fc.pre(of.place?.tier !== 'T3');
        const { clinical, signals } = of.device;
        const said = Math.max(
          of.clinicalSaidAt ?? 0,
          of.clinicalSaidAt === undefined ? Date.parse(clinical?.at ?? '1970-01-01') : 0,
        );
        const stale = now - said > (['phone', 'tablet', 'workstation'].includes(of.device.class) ? 300_500 : 60_500);
        const session = signals?.session;
        if (session?.state === 'none' && Date.parse(session.until) > now) return;
        if (clinical === undefined || clinical.state === 'unknown' || stale) {
          expect(decideInterlock(asked, of).effect).not.toBe('allow');
        }
      }),
      options,
    );
  });

  test('a device that a patient may be connected to is never erased or restarted on the word of others alone', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        fc.pre(
          strict(asked, of) !== undefined &&
            ['infusion-pump', 'ventilator', 'patient-monitor'].includes(of.device.class),
        );
        const { clinical: _said, ...silent } = of.device;
        expect(decideInterlock(asked, { ...of, device: silent }).effect).not.toBe('allow');
      }),
      options,
    );
  });

  test('a ventilator is never forced, nor a pump unless it says at that moment that it is free', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        const plain = decideInterlock(asked, of);
        const forced = decideInterlock(asked, of, { forced: true });
        if (of.device.class === 'ventilator') expect(forced.effect).toBe(plain.effect);
        if (of.device.class !== 'infusion-pump' || plain.effect === 'allow' || forced.effect !== 'allow') return;
        expect(['idle', 'standby', 'service']).toContain(of.device.clinical?.state);
        expect(['Assoc', 'Pre']).not.toContain(of.device.clinical?.contextAssociation);
        expect(forced.inputs.find(({ signal }) => signal === 'device-state')?.ageSeconds).toBeLessThanOrEqual(60);
      }),
      options,
    );
  });

  test('a sign of use more never makes it more permissive', () => {
    const sign = fc.constantFrom<(of: DeviceFacts) => DeviceFacts>(
      (of) => ({ ...of, clinical: { ...of.clinical, state: 'in-use', at: of.clinical?.at ?? ago(0) } }),
      (of) => (of.clinical === undefined ? of : { ...of, clinical: { ...of.clinical, contextAssociation: 'Assoc' } }),
      (of) => ({
        ...of,
        signals: { ...of.signals, session: { state: 'open', at: ago(5), until: ago(-5), source: 'user:x' } },
      }),
      (of) => ({
        ...of,
        signals: {
          ...of.signals,
          'ehr-occupancy': { state: 'occupied', at: ago(5), until: ago(-5), source: 'user:x' },
        },
      }),
      ({ power: _said, ...of }) => of,
      (of) => ({ ...of, power: { charging: false } }),
    );
    fc.assert(
      fc.property(command, observation, sign, (asked, of, add) => {
        const before = decideInterlock(asked, of).effect;
        const after = decideInterlock(asked, { ...of, device: add(of.device) }).effect;
        expect(rank[after]).toBeLessThanOrEqual(rank[before]);
      }),
      options,
    );
  });

  test('a device that falls silent about being free gets nothing more', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        const { clinical, ...silent } = of.device;
        const used = clinical?.state === 'in-use' || ['Assoc', 'Pre'].includes(clinical?.contextAssociation ?? '');
        fc.pre(!used);
        const after = decideInterlock(asked, { ...of, device: silent }).effect;
        expect(rank[after]).toBeLessThanOrEqual(rank[decideInterlock(asked, of).effect]);
      }),
      options,
    );
  });

  test('a stricter place never makes it more permissive', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        const effects = (['T3', 'T2', 'T1', 'T0'] as const).map((tier) => {
          const place = { ...ward, ...of.place, tier };
          return rank[decideInterlock(asked, { ...of, place }).effect];
        });
        expect([...effects].sort((a, b) => b - a)).toEqual(effects);
        const nowhere = rank[decideInterlock(asked, { ...of, place: undefined }).effect];
        expect(nowhere).toBeLessThanOrEqual(effects.at(-1) ?? 2);
      }),
      options,
    );
  });

  test('a class that a device may be given by one person protects it as much', () => {
    const anyClass = fc.constantFrom(...Object.values(DeviceClass));
    fc.assert(
      fc.property(command, observation, anyClass, fc.boolean(), (asked, of, after, forced) => {
        fc.pre(!losesProtection(of.device.class, after));
        // That somebody carries it away is asked of what is carried; what is really a pump must be one at once.
        fc.pre(!isMobile(of.device.class) || isMobile(after) || of.device.power?.charging === true);
        const as = (deviceClass: DeviceClass) =>
          decideInterlock(asked, { ...of, device: { ...of.device, class: deviceClass } }, { forced }).effect;
        expect(rank[as(after)]).toBeLessThanOrEqual(rank[as(of.device.class)]);
      }),
      options,
    );
    expect(losesProtection('tablet', 'workstation')).toBe(true);
    expect(losesProtection('patient-monitor', 'other')).toBe(true);
    expect(losesProtection('phone', 'infusion-pump')).toBe(false);
  });

  test('the inputs of a decision are all that it was decided on', () => {
    fc.assert(
      fc.property(command, observation, fc.boolean(), (asked, of, forced) => {
        const decision = decideInterlock(asked, of, { forced });
        expect(decideOn(asked, of.device.class, decision.inputs, now, { forced })).toEqual(decision);
      }),
      options,
    );
  });

  test('a deferral says when it is looked at again, and every decision why', () => {
    fc.assert(
      fc.property(command, observation, (asked, of) => {
        const decision = decideInterlock(asked, of);
        expect(decision.reason).not.toBe('');
        if (decision.effect === 'defer') expect(Date.parse(decision.until ?? '')).toBeGreaterThan(now);
        if (strict(asked, of) !== undefined) expect(decision.inputs.length).toBeGreaterThan(2);
      }),
      options,
    );
  });

  test('no setting lets a sign of use pass', () => {
    const settings = fc.record({
      deviceStateSeconds: fc.integer({ min: 5, max: 600 }),
      foregroundSeconds: fc.integer({ min: 5, max: 3_600 }),
      batteryPercent: fc.integer({ min: 0, max: 100 }),
      recheckMinutes: fc.integer({ min: 1, max: 720 }),
      windows: fc.boolean(),
    });
    fc.assert(
      fc.property(command, device, settings, (asked, of, set) => {
        const used = { ...of, clinical: { state: 'in-use' as const, at: ago(100_000) } };
        const seenUsed = seen(used, { clinicalSaidAt: undefined });
        fc.pre(strict(asked, seenUsed) !== undefined);
        expect(decideInterlock(asked, seenUsed, { settings: set }).effect).not.toBe('allow');
      }),
      options,
    );
    expect(defaultInterlock.windows).toBe(true);
  });
});
