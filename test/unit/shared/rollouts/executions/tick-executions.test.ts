import type { ClinicalState, Device } from '../../../../../shared/devices/device.ts';
import { isBack, showsResult } from '../../../../../shared/rollouts/executions/tick-executions.ts';
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

const failed = storedExecution('d-1', { status: { state: 'failed', class: 'install' }, outOfService: true });

test('a device that was given up is back when it was seen since, and says that it works', () => {
  expect(isBack(failed, device, false)).toBe(true);
  expect(isBack(failed, { ...device, lastSeenAt: failed.since }, false)).toBe(false);
  const { lastSeenAt: _seen, ...unseen } = device;
  expect(isBack(failed, unseen, true)).toBe(false);
  const { clinical: _clinical, ...mute } = device;
  expect(isBack(failed, mute, true)).toBe(false);
  for (const state of ['idle', 'in-use', 'standby'] as const) expect(isBack(failed, clinical(state), false)).toBe(true);
  for (const state of ['service', 'unknown'] as const) expect(isBack(failed, clinical(state), true)).toBe(false);
});

test('one that fell silent may begin any time: it is back only when its inventory shows that it is through', () => {
  expect(isBack(silent, device, false)).toBe(false);
  expect(isBack(silent, device, true)).toBe(true);
  expect(isBack(silent, { ...device, lastSeenAt: silent.since }, true)).toBe(false);
});

test('what an inventory shows: the new version, or another one on the way back, and only after it was let in', () => {
  const activated = { ...silent, activatedAt: at(0) };
  const says = (version: string | undefined, minutes = 5) => ({
    at: at(minutes * 60_000),
    report: version === undefined ? {} : { firmwareVersion: version },
  });
  expect(showsResult(activated, says('9.5.0'))).toBe(true);
  expect(showsResult(activated, says('9.4.0'))).toBe(false);
  expect(showsResult(activated, says(undefined))).toBe(false);
  expect(showsResult(activated, says('9.5.0', -5))).toBe(false);
  expect(showsResult(activated, undefined)).toBe(false);
  expect(showsResult(silent, says('9.5.0'))).toBe(false);
  const back = { ...activated, direction: 'back' } as const;
  expect([showsResult(back, says('9.4.0')), showsResult(back, says('9.5.0'))]).toEqual([true, false]);
  expect(showsResult(back, says(undefined))).toBe(false);
});

test('after a safety event no word of the device is enough', () => {
  expect(isBack(lost, device, true)).toBe(false);
});

test('a unit does not count on a device that has left it', () => {
  for (const left of [undefined, { ...device, unitId: 'u-2' }, { ...device, lifecycle: 'revoked' as const }]) {
    expect(isBack(lost, left, false)).toBe(true);
  }
});
