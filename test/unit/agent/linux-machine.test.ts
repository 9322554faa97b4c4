import { linuxMachine } from '../../../agent/linux-machine.ts';
import type { System } from '../../../agent/report/system.ts';
import { imagine } from './report/machine.ts';

const now = Date.parse('2026-03-01T12:00:00Z');
const files = { '/var/lib/dpkg/status': '', '/var/lib/apt/lists/a_InRelease': '' };
const changed = { '/var/lib/apt/lists': now };

/** A machine whose package manager answers when the test lets it. */
function machineWith(system: System, { time = () => now, patienceMs = 0 } = {}) {
  const told: string[] = [];
  const machine = linuxMachine({
    system,
    serial: { serial: 'S1', source: 'option' },
    logs: '/none',
    rotateCertificate: async () => ({ status: 'acknowledged' }),
    reportAll: () => told.push('all'),
    changed: () => told.push('changed'),
    now: time,
    patienceMs,
  });
  return { machine, told };
}

const signal = new AbortController().signal;
const command = (type: string) => ({ id: '5-A', type, parameters: {}, expiresAt: now });

test('the first report does not wait for a slow package manager; its news is told when it comes', async () => {
  const slow = Promise.withResolvers<void>();
  const system = imagine({ files, changed });
  const { machine, told } = machineWith({
    ...system,
    run: async (program) => {
      if (program !== 'apt-get') return undefined;
      await slow.promise;
      return { code: 0, text: 'Inst x [1] (2 Debian-Security:12 [all])\n' };
    },
  });
  expect((await machine.posture())['updates']).toEqual({
    security: 'unknown',
    total: 'unknown',
    restartRequired: 'unknown',
  });
  expect(told).toEqual([]);
  slow.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toContain('changed');
  expect((await machine.posture())['updates']).toMatchObject({ security: 1, total: 1 });
});

test('the package manager is asked once an hour', async () => {
  let time = now;
  const system = imagine({ files, changed, programs: { 'apt-get': {} } });
  const { machine } = machineWith(system, { time: () => time, patienceMs: 5_000 });
  const asked = (): number => system.ran.filter((line) => line.startsWith('apt-get')).length;
  await machine.posture();
  time += 3_599_000;
  await machine.posture();
  expect(asked()).toBe(1);
  time += 2_000;
  await machine.posture();
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked()).toBe(2);
});

test('inventory asks anew and reports everything; the rest that is not for an agent is unsupported', async () => {
  const system = imagine({ files, changed, programs: { 'apt-get': {} } });
  const { machine, told } = machineWith(system);
  expect(await machine.carryOut(command('inventory'), signal)).toEqual({ status: 'acknowledged' });
  expect(told).toContain('all');
  const updates = ['install-update', 'download-update', 'activate-update'];
  for (const type of ['wipe', 'lock', 'restart', ...updates, 'apply-config', 'locate', 'toString']) {
    expect(await machine.carryOut(command(type), signal)).toEqual({ status: 'failed', reason: 'unsupported' });
  }
});

test('a message is not shown twice after a restart of the agent', () => {
  const { machine } = machineWith(imagine({}));
  expect([machine.repeatable('message'), machine.repeatable('collect-logs')]).toEqual([false, true]);
});
