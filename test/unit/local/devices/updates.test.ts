import { demoFleet } from '../../../../local/demo/fleet.ts';
import { planFor } from '../../../../local/devices/behaviour.ts';
import type { DeviceProfile } from '../../../../local/devices/profile.ts';
import { SimulatedMachine } from '../../../../local/devices/simulated-machine.ts';
import type { DeviceMemory } from '../../../../local/devices/state.ts';
import { installedVersion } from '../../../../shared/rollouts/plan/installed-version.ts';
import type { Artifact } from '../../../../shared/rollouts/rollout.ts';
import { profile } from './profiles.ts';

const sha256 = 'ab'.repeat(32);

/** A machine whose hours pass at once, with what it did. */
function machineOf(of: DeviceProfile, begin = Date.parse('2026-03-01T03:00:00Z')) {
  let now = begin;
  let memory: DeviceMemory = {};
  const did: string[] = [];
  const machine = new SimulatedMachine({
    seed: 1,
    profile: of,
    time: {
      now: () => now,
      wait: async (milliseconds) => {
        now += milliseconds;
      },
    },
    memory: () => memory,
    remember: (change) => {
      memory = { ...memory, ...change };
    },
    changed: () => undefined,
    reportAll: () => did.push('report'),
    offline: async (milliseconds) => {
      did.push('offline');
      now += milliseconds;
    },
    rotateCertificate: async () => undefined,
    wiped: () => undefined,
  });
  const rest = () => {
    while (machine.usage().state !== 'idle') now = machine.usage().until;
  };
  const installed = async (what: Pick<Artifact, 'kind' | 'name'>) => installedVersion(await machine.inventory(), what);
  const carryOut = (type: string, parameters: object, id = `5-${type}`) => {
    if (type === 'activate-update') rest();
    const command = { id, type, parameters: { ...parameters }, expiresAt: now + 86_400_000 };
    return machine.carryOut(command, new AbortController().signal);
  };
  return { machine, carryOut, installed, did, time: () => now, memory: () => memory };
}

/** The first of the demo's pumps on which this version does what is wanted. */
function pumpThat(breaks: boolean, version: string): DeviceProfile {
  const idle = { now: 0, state: 'idle' as const, battery: { percent: 90, charging: true } };
  const found = demoFleet(300, 1)
    .map((device) => device.profile)
    .find((one) => {
      if (one.class !== 'infusion-pump') return false;
      const command = { id: '5-activate-update', type: 'activate-update', parameters: { version } };
      return (planFor(1, one, command, idle).kind === 'fail') === breaks;
    });
  if (found === undefined) throw new Error('There is no such pump.');
  return found;
}

const firmware = (version: string) => ({ kind: 'firmware' as const, name: 'Infuse', version, sha256 });

test('is downloaded beside what runs, activated out of sight, and shown by the inventory', async () => {
  const pump = machineOf(pumpThat(false, '9.5.0'));
  const before = await pump.installed(firmware('9.5.0'));
  const began = pump.time();
  expect(await pump.carryOut('download-update', firmware('9.5.0'))).toEqual({
    status: 'acknowledged',
    detail: { sha256 },
  });
  expect(pump.time() - began).toBeGreaterThan(60_000);
  expect([await pump.installed(firmware('9.5.0')), pump.did]).toEqual([before, []]);

  expect(await pump.carryOut('activate-update', firmware('9.5.0'))).toEqual({ status: 'acknowledged' });
  expect(pump.did).toEqual(['offline', 'report']);
  expect(await pump.installed(firmware('9.5.0'))).toBe('9.5.0');
  expect(pump.memory().bootedAt).toBe(pump.time());
  // The same word again finds its work done.
  expect(await pump.carryOut('activate-update', firmware('9.5.0'))).toEqual({ status: 'acknowledged' });
  expect(pump.did).toEqual(['offline', 'report']);

  expect(await pump.carryOut('activate-update', { ...firmware('9.5.0'), back: true }, '5-back')).toEqual({
    status: 'acknowledged',
  });
  expect(await pump.installed(firmware('9.5.0'))).toBe(before);
});

test('only what was downloaded is activated, with the very checksum', async () => {
  const pump = machineOf(pumpThat(false, '9.5.0'));
  const refused = { status: 'failed', reason: 'not-staged' };
  expect(await pump.carryOut('activate-update', firmware('9.5.0'))).toEqual(refused);
  await pump.carryOut('download-update', firmware('9.5.0'));
  expect(await pump.carryOut('activate-update', { ...firmware('9.5.0'), sha256: 'cd'.repeat(32) })).toEqual(refused);
  expect(await pump.carryOut('activate-update', { ...firmware('9.5.0'), kind: 'agent' })).toEqual(refused);
  expect(pump.did).toEqual([]);
});

test('a pump on which a bad version breaks goes back by itself, and stays there', async () => {
  const version = '9.6.0-bad';
  const pump = machineOf(pumpThat(true, version));
  const before = await pump.installed(firmware(version));
  await pump.carryOut('download-update', firmware(version));
  expect(await pump.carryOut('activate-update', firmware(version))).toEqual({
    status: 'failed',
    reason: 'rolled-back',
  });
  expect(pump.did).toEqual(['offline']);
  expect(await pump.installed(firmware(version))).toBe(before);
  // The way back of the rollout finds nothing left to do.
  expect(await pump.carryOut('activate-update', { ...firmware(version), back: true }, '5-back')).toEqual({
    status: 'acknowledged',
  });
});

test.each<[Artifact['kind'], string]>([
  ['os', 'Android'],
  ['agent', 'wardline-agent'],
  ['app', 'Meds'],
  ['policy', 'Kiosk'],
  ['firmware', 'BIOS'],
])('%s: comes, and goes back', async (kind, name) => {
  const device = machineOf(profile({ class: 'workstation', platform: 'linux' }));
  const what = { kind, name, version: '77.1', sha256 };
  const before = await device.installed(what);
  await device.carryOut('download-update', what, '5-download');
  expect(await device.carryOut('activate-update', what, '5-on')).toEqual({ status: 'acknowledged' });
  expect(await device.installed(what)).toBe('77.1');
  expect(await device.carryOut('activate-update', { ...what, back: true }, '5-off')).toEqual({
    status: 'acknowledged',
  });
  expect(await device.installed(what)).toBe(before);
});
