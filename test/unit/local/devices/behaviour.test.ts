import fc from 'fast-check';
import { demoFleet } from '../../../../local/demo/fleet.ts';
import { planFor } from '../../../../local/devices/behaviour.ts';
import { CommandType } from '../../../../shared/commands/command.ts';
import { ClinicalState } from '../../../../shared/devices/device.ts';
import { profile } from './profiles.ts';

const now = Date.parse('2026-03-01T12:00:00Z');
const idle = { now, state: ClinicalState.Idle, battery: { percent: 90, charging: true } };
const command = (type: string, id = '5-A', parameters: Record<string, unknown> = {}) => ({ id, type, parameters });

test('nothing disruptive while a device is in use or does not know', () => {
  const devices = demoFleet(100, 1).map((device) => device.profile);
  fc.assert(
    fc.property(
      fc.constantFrom(...devices),
      fc.constantFrom(CommandType.Restart, CommandType.InstallUpdate, CommandType.ActivateUpdate),
      fc.constantFrom(ClinicalState.InUse, ClinicalState.Unknown),
      fc.string(),
      (device, type, state, id) => {
        const plan = planFor(1, device, command(type, id), { ...idle, state });
        expect(plan.kind).toBe('defer');
        if (plan.kind === 'defer') expect(plan.until).toBeGreaterThan(now);
      },
    ),
  );
});

test('a repeated delivery meets the same fate', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...Object.values(CommandType)), (id, type) => {
      expect(planFor(1, profile(), command(type, id), idle)).toEqual(planFor(1, profile(), command(type, id), idle));
    }),
  );
});

test('some commands fail, most do not', () => {
  const plans = Array.from({ length: 2_000 }, (_, n) =>
    planFor(1, profile(), command(CommandType.InstallUpdate, `5-${n}`), idle),
  );
  const failed = plans.filter(({ kind }) => kind === 'fail').length / plans.length;
  expect(failed).toBeGreaterThan(0.03);
  expect(failed).toBeLessThan(0.1);
});

describe('an update in two steps', () => {
  const devices = demoFleet(500, 1).map((device) => device.profile);
  const failing = (type: string, parameters: Record<string, unknown>) =>
    devices.filter(
      (device) => planFor(1, device, command(type, `5-${device.serial}`, parameters), idle).kind === 'fail',
    );

  test('a good one comes through the gates of a rollout', () => {
    for (const type of [CommandType.DownloadUpdate, CommandType.ActivateUpdate]) {
      expect(failing(type, { version: '9.5.0' }).length / devices.length).toBeLessThan(0.015);
    }
  });

  test('a bad one breaks the same two fifths of the devices each time, and the way back none of them', () => {
    const broken = failing(CommandType.ActivateUpdate, { version: '9.5.0-bad' });
    expect(broken.length / devices.length).toBeGreaterThan(0.33);
    expect(broken.length / devices.length).toBeLessThan(0.47);
    const again = command(CommandType.ActivateUpdate, 'another-rollout', { version: '9.5.0-bad' });
    const plans = broken.map((device) => planFor(1, device, again, idle));
    // All but the few that failed by chance.
    expect(plans.filter(({ kind }) => kind === 'fail').length).toBeGreaterThan(0.97 * broken.length);
    expect(plans.find(({ kind }) => kind === 'fail')).toMatchObject({ reason: 'rolled-back' });
    const back = failing(CommandType.ActivateUpdate, { version: '9.5.0-bad', back: true });
    expect(back.length / devices.length).toBeLessThan(0.015);
    expect(failing(CommandType.DownloadUpdate, { version: '9.5.0-bad' }).length / devices.length).toBeLessThan(0.015);
  });

  test('is fetched in use, and activated only with power', () => {
    const used = { ...idle, state: ClinicalState.InUse, battery: { percent: 5, charging: false } };
    expect(planFor(1, profile(), command(CommandType.DownloadUpdate), used).kind).not.toBe('defer');
    const empty = { ...idle, battery: { percent: 20, charging: false } };
    expect(planFor(1, profile(), command(CommandType.ActivateUpdate), empty)).toMatchObject({ reason: 'battery-low' });
  });
});

test('a medical device shows no messages and is neither locked nor erased', () => {
  for (const type of [CommandType.Message, CommandType.Lock, CommandType.Wipe, 'unheard-of', 'toString']) {
    expect(planFor(1, profile(), command(type), idle)).toMatchObject({ kind: 'fail', reason: 'unsupported' });
  }
});

test('waits for the time that the command names, and for a charger', () => {
  const notBefore = new Date(now + 60_000).toISOString();
  expect(planFor(1, profile(), command(CommandType.Restart, '5-A', { notBefore }), idle)).toEqual({
    kind: 'defer',
    reason: 'not-before',
    until: now + 60_000,
  });
  expect(
    planFor(1, profile(), command(CommandType.InstallUpdate), { ...idle, battery: { percent: 20, charging: false } }),
  ).toMatchObject({ kind: 'defer', reason: 'battery-low' });
});
