import { DeviceClass } from '../../../../../shared/devices/device.ts';
import {
  type Candidate,
  Ineligibility,
  ineligibilityOf,
  isSelected,
} from '../../../../../shared/rollouts/plan/selection.ts';

const pump: Candidate = {
  id: 'd-1',
  enrolled: true,
  siteId: 's-1',
  unitId: 'u-1',
  unitType: 'T2',
  class: DeviceClass.InfusionPump,
  model: 'P100',
  version: '4.1.0',
  tags: ['loaner', 'tower-b'],
};

describe('isSelected', () => {
  test('asks for all that is said, and for nothing else', () => {
    expect(isSelected({}, pump)).toBe(true);
    expect(isSelected({ siteIds: ['s-1'], classes: [DeviceClass.InfusionPump], models: ['P100'] }, pump)).toBe(true);
    expect(isSelected({ siteIds: ['s-1'], models: ['P200'] }, pump)).toBe(false);
    expect(isSelected({ tags: ['loaner', 'tower-b'] }, pump)).toBe(true);
    expect(isSelected({ tags: ['loaner', 'tower-a'] }, pump)).toBe(false);
  });

  test('takes an empty list for nobody, never for everybody', () => {
    for (const list of ['siteIds', 'unitIds', 'classes', 'models', 'tags'] as const) {
      expect([list, isSelected({ [list]: [] }, pump)]).toEqual([list, false]);
    }
  });

  test('does not take a device that says nothing for one that says the right thing', () => {
    const { siteId: _siteId, model: _model, tags: _tags, ...bare } = pump;
    expect(isSelected({ siteIds: ['s-1'] }, bare)).toBe(false);
    expect(isSelected({ models: ['P100'] }, bare)).toBe(false);
    expect(isSelected({ tags: ['loaner'] }, bare)).toBe(false);
  });
});

describe('ineligibilityOf', () => {
  const reason = (changes: Partial<Candidate>, versions = {}) =>
    ineligibilityOf({ ...pump, ...changes }, '5.0', versions);

  test('names the reason', () => {
    const { unitId: _unitId, ...unplaced } = pump;
    const { version: _version, ...silent } = pump;
    expect(reason({})).toBeUndefined();
    expect(reason({ enrolled: false })).toBe(Ineligibility.NotEnrolled);
    expect(ineligibilityOf(unplaced, '5.0', {})).toBe(Ineligibility.NotPlaced);
    expect(reason({ version: '5.0.0' })).toBe(Ineligibility.AlreadyThere);
    expect(reason({ busyWith: 'r-2' })).toBe(Ineligibility.OtherRollout);
    expect(reason({}, { from: '4.1', below: '5' })).toBeUndefined();
    expect(reason({}, { from: '4.2' })).toBe(Ineligibility.VersionOutOfRange);
    expect(reason({}, { below: '4.1' })).toBe(Ineligibility.VersionOutOfRange);
    expect(reason({ version: '4.x' }, { from: '4.0' })).toBe(Ineligibility.VersionUnknown);
    expect(ineligibilityOf(silent, '5.0', { below: '5' })).toBe(Ineligibility.VersionUnknown);
    expect(ineligibilityOf(silent, '5.0', undefined)).toBeUndefined();
  });

  test('knows a version that cannot be compared by its letters', () => {
    expect(ineligibilityOf({ ...pump, version: 'golden' }, 'golden', undefined)).toBe(Ineligibility.AlreadyThere);
  });
});
