import type { ClinicalState, Device } from '../../../../../shared/devices/device.ts';
import { isBack } from '../../../../../shared/rollouts/executions/tick-executions.ts';
import { rolloutBegin as now, storedExecution } from '../../../../support/rollouts.ts';

const at = (offset: number) => new Date(now + offset).toISOString();
const device: Device = {
  ...{ id: 'd-1', serial: 'X', platform: 'iomt', class: 'infusion-pump', ownership: 'organization' },
  ...{ siteId: 's-1', unitId: 'u-1', lifecycle: 'enrolled', createdAt: at(-1), desiredVersion: 0, queueSeq: 0 },
  ...{ version: 1, lastSeenAt: at(3_600_000), clinical: { state: 'idle', at: at(-1) } },
};
const silent = storedExecution('d-1', { status: { state: 'timed-out', stage: 'activating' }, outOfService: true });
const lost = storedExecution('d-1', { status: { state: 'failed', class: 'safety' }, outOfService: true });
const clinical = (state: ClinicalState) => ({ ...device, clinical: { state, at: at(-1) } });

test('a device that was given up is back when it was seen since, and says that it works', () => {
  expect(isBack(silent, device)).toBe(true);
  expect(isBack(silent, { ...device, lastSeenAt: silent.since })).toBe(false);
  const { lastSeenAt: _seen, ...unseen } = device;
  expect(isBack(silent, unseen)).toBe(false);
  const { clinical: _clinical, ...mute } = device;
  expect(isBack(silent, mute)).toBe(false);
  for (const state of ['idle', 'in-use', 'standby'] as const) expect(isBack(silent, clinical(state))).toBe(true);
  for (const state of ['service', 'unknown'] as const) expect(isBack(silent, clinical(state))).toBe(false);
});

test('after a safety event no word of the device is enough', () => {
  expect(isBack(lost, device)).toBe(false);
});

test('a unit does not count on a device that has left it', () => {
  for (const left of [undefined, { ...device, unitId: 'u-2' }, { ...device, lifecycle: 'revoked' as const }]) {
    expect(isBack(lost, left)).toBe(true);
  }
});
