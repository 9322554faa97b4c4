import { type Device, Lifecycle } from '../../../../../shared/devices/device.ts';
import {
  candidateOf,
  type DeviceFacts,
  type ListedDevice,
  listedCandidate,
  mayBeSelected,
} from '../../../../../shared/rollouts/plan/candidates.ts';
import { storedExecution } from '../../../../support/rollouts.ts';

const listed: ListedDevice = {
  ...{ id: 'd-1', siteId: 's-1', unitId: 'u-1', class: 'infusion-pump', lifecycle: Lifecycle.Enrolled },
};
const device = {
  ...{ ...listed, serial: 'S-1', platform: 'iomt', ownership: 'organization', createdAt: '2027-01-01T00:00:00.000Z' },
  ...{ desiredVersion: 0, queueSeq: 0, version: 1 },
} as Device;
const tiers = new Map([['u-1', 'T1' as const]]);
const firmware = { kind: 'firmware', name: 'Infuse' } as const;
const of = (facts: Partial<DeviceFacts> = {}) => candidateOf(listed, { device, ...facts }, tiers, firmware);

describe('candidateOf', () => {
  test('the record comes before the inventory; what is not said is left out', () => {
    const inventory = { model: 'As it says itself', hardwareRevision: ' 3.1 ', os: { version: '9.4.2' } };
    expect(of({ inventory })).toEqual({
      ...{ id: 'd-1', enrolled: true, siteId: 's-1', unitId: 'u-1', unitType: 'T1', class: 'infusion-pump' },
      ...{ model: 'As it says itself', hardwareRevision: '3.1', version: '9.4.2', riskScore: 50 },
      tags: ['platform:iomt', 'ownership:organization', 'compliance:unknown'],
    });
    expect(of({ inventory, device: { ...device, model: 'As registered' } }).model).toBe('As registered');
    const silent = of({ inventory: { model: 'unknown', hardwareRevision: 7, os: 'new' } });
    expect(silent).not.toHaveProperty('model');
    expect(silent).not.toHaveProperty('hardwareRevision');
    expect(silent).not.toHaveProperty('version');
  });

  test('a revision of any length names a stratum of a bounded one', () => {
    expect(of({ inventory: { hardwareRevision: 'r'.repeat(9_000) } }).hardwareRevision).toHaveLength(40);
  });

  test('a device that does not meet the baseline is at a higher risk than one of which nothing is known', () => {
    const risk = (compliance: NonNullable<Device['compliance']>) =>
      of({ device: { ...device, compliance } }).riskScore ?? 0;
    expect(risk('not-compliant')).toBeGreaterThan(risk('unknown'));
    expect(risk('unknown')).toBeGreaterThan(risk('compliant'));
  });

  test('an advisory that is open on it is known by its model and version', () => {
    const advisories = [{ id: 'CVE-2027-1', models: ['Infuse LV-8'], versions: { below: '9.5' } }];
    const at = (version: string, model = 'Infuse LV-8') =>
      candidateOf(
        listed,
        { device: { ...device, model }, inventory: { os: { version } } },
        tiers,
        firmware,
        advisories,
      );
    expect(at('9.4')).toMatchObject({ openAdvisory: true });
    expect(at('9.5')).not.toHaveProperty('openAdvisory');
    expect(at('9.4', 'Other')).not.toHaveProperty('openAdvisory');
  });

  test('only an unfinished execution keeps it busy', () => {
    expect(of({ execution: storedExecution('d-1', { rolloutId: 'ro-2' }) }).busyWith).toBe('ro-2');
    expect(of({ execution: storedExecution('d-1', { status: { state: 'succeeded' } }) })).not.toHaveProperty(
      'busyWith',
    );
  });

  test('a unit that is not there any more is no place', () => {
    const candidate = listedCandidate({ ...listed, unitId: 'u-gone' }, tiers);
    expect(candidate).toEqual({
      ...{ id: 'd-1', enrolled: true, siteId: 's-1', unitType: 'none', class: 'infusion-pump' },
    });
  });
});

describe('mayBeSelected', () => {
  test('by place and class; what only the device itself says is not asked', () => {
    expect(mayBeSelected({}, listed)).toBe(true);
    expect(mayBeSelected({ siteIds: ['s-1'], unitIds: ['u-1'], classes: ['infusion-pump'] }, listed)).toBe(true);
    expect(mayBeSelected({ models: ['Any'], tags: ['platform:linux'] }, listed)).toBe(true);
    for (const selection of [{ siteIds: ['s-2'] }, { unitIds: [] }, { classes: ['phone' as const] }]) {
      expect(mayBeSelected(selection, listed)).toBe(false);
    }
    expect(mayBeSelected({ unitIds: ['u-1'] }, { ...listed, unitId: 'u-2' })).toBe(false);
  });
});
