import type { Device } from '../../../../../shared/devices/device.ts';
import { compareWithControl } from '../../../../../shared/rollouts/gate/control.ts';
import { comparisonsOf, type Sampled } from '../../../../../shared/rollouts/gate/control-sample.ts';
import { rolloutBegin as now } from '../../../../support/rollouts.ts';

const at = new Date(now - 60_000).toISOString();
const device = (id: string, connected: boolean, more: Partial<Device> = {}): Device => ({
  ...{ id, serial: id, platform: 'iomt', class: 'infusion-pump', ownership: 'organization', lifecycle: 'enrolled' },
  ...{ createdAt: at, lastSeenAt: at, desiredVersion: 0, queueSeq: 0, version: 1, channel: 'mqtt' },
  presence: { connected, at, sessionId: 'x', version: 1 },
  ...more,
});

const sampled = (name: string, count: number, stratum = 's-1/B/T2'): Sampled[] =>
  Array.from({ length: count }, (_, index) => ({ deviceId: `${name}-${index}`, stratum }));
const heads = (those: readonly Sampled[], missing: number, more: Partial<Device> = {}): [string, Device][] =>
  those.map(({ deviceId }, index) => [deviceId, device(deviceId, index >= missing, more)]);

test('counts who is missing at this moment, by stratum, where there is somebody to compare with', () => {
  const updated = [...sampled('new', 20), ...sampled('alone', 3, 's-1/C/T2')];
  const notYet = [...sampled('old', 30), ...sampled('later', 4, 's-2/B/T2')];
  const devices = new Map([
    ...heads(sampled('new', 20), 9),
    ...heads(sampled('old', 30), 1),
    ...heads(sampled('alone', 3), 3),
    ...heads(sampled('later', 4), 0),
  ]);
  const comparisons = comparisonsOf(updated, notYet, devices, now);
  expect(comparisons).toEqual([
    { stratum: 's-1/B/T2', updated: { affected: 9, watched: 20 }, notYet: { affected: 1, watched: 30 } },
  ]);
  expect(compareWithControl(comparisons, 0.01).harm).toBe(true);
});

test('a broken access point harms both alike', () => {
  const [updated, notYet] = [sampled('new', 20), sampled('old', 30)];
  const devices = new Map([...heads(updated, 9), ...heads(notYet, 14)]);
  expect(compareWithControl(comparisonsOf(updated, notYet, devices, now), 0.01).harm).toBe(false);
});

test('a device that is gone, or not expected to be there, says nothing', () => {
  const [updated, notYet] = [sampled('new', 2), sampled('old', 2)];
  const devices = new Map([...heads(updated, 2, { lifecycle: 'revoked' }), ...heads(notYet, 0)]);
  expect(comparisonsOf(updated, notYet, devices, now)).toEqual([]);
  expect(comparisonsOf(updated, notYet, new Map(heads(notYet, 0)), now)).toEqual([]);
});
