import { byDevice, wakeFor } from '../shared/commands/push.ts';
import { readQueue } from '../shared/commands/store.ts';
import { wakeAgain } from '../shared/commands/wake-again.ts';
import type { Channel } from '../shared/devices/device.ts';
import { notePresence } from '../shared/devices/note-presence.ts';
import { serveCheckIn } from '../shared/devices/serve-check-in.ts';
import type { CheckInMessage } from '../shared/protocols/agent/messages.ts';
import { callerFor, enrol, infusionPump, message, queue, start } from '../test/support/devices.ts';
import { startDevicesTable } from '../test/support/devices-table.ts';
import { gateMeans } from '../test/support/gates.ts';
import type { Measured, Measurements } from './cost-model.ts';

const hour = 3_600_000;

/**
 * Plays each step of a device's life against DynamoDB Local, with a plausible inventory and posture, and adds up the
 * capacity units that it answers.
 */
export async function measure(channel: Channel): Promise<Measurements> {
  await using devices = await startDevicesTable();
  const { table } = devices;
  const device = await enrol(table, { ...infusionPump('BENCH-1'), siteId: `s-${'0'.repeat(26)}`, name: 'Pump 17' });
  let replyBytes = 0;
  const checkIn = async (now: number, more: Partial<CheckInMessage> = {}) => {
    const outcome = await serveCheckIn(
      table,
      { caller: callerFor(device, channel), message: message(now, more), receivedAt: now },
      { now: () => now, random: () => 0, ...gateMeans(devices.directory, () => now) },
    );
    if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
    replyBytes = Math.max(replyBytes, Buffer.byteLength(JSON.stringify(outcome.reply)));
    return outcome.reply;
  };
  const cost = async (step: () => Promise<unknown>): Promise<Measured> => {
    devices.requests();
    await step();
    const requests = devices.requests();
    const sum = (unit: keyof Measured) => requests.reduce((total, request) => total + request[unit], 0);
    return { readUnits: sum('readUnits'), writeUnits: sum('writeUnits') };
  };
  const at = (time: number) => new Date(time).toISOString();
  const posture = (firewall: string) => ({
    diskEncryption: { state: 'enabled', volumes: [{ name: 'root', state: 'enabled' }] },
    screenLock: { state: 'not-applicable' },
    updates: { security: 0, total: 3, restartRequired: false },
    firewall: { state: firewall },
    secureBoot: 'enabled',
    bootedAt: at(start - hour),
  });
  const inventory = {
    os: { name: 'pump-os', version: '4.2.1' },
    drugLibrary: '2026-02',
    modules: Array(40).fill('module 1.2.3'),
  };
  await checkIn(start, { inventory, posture: posture('enabled'), clinical: { state: 'idle', at: at(start) } });
  const quiet = await cost(() => checkIn(start + 1_000));
  const heartbeat = await cost(() => checkIn(start + hour));
  const clinicalChange = await cost(() =>
    checkIn(start + hour + 1_000, { clinical: { state: 'in-use', at: at(start + hour + 1_000) } }),
  );
  const postureChange = await cost(() => checkIn(start + hour + 2_000, { posture: posture('disabled') }));
  const presence = await cost(async () => {
    const event = { clientId: device.id, sessionIdentifier: '0ac7f3e0-8c2f-4d5c-9d1c-51a5a0b1c2d3' };
    await notePresence(table, { ...event, eventType: 'connected', versionNumber: 1, timestamp: start });
    await notePresence(table, { ...event, eventType: 'disconnected', versionNumber: 2, timestamp: start + hour });
  });
  const idle = { clinical: { state: 'idle' as const, at: at(start + hour + 2_500) } };
  await checkIn(start + hour + 2_500, idle);
  const command = await cost(async () => {
    const now = start + hour + 3_000;
    const { id } = (await queue(table, device, { type: 'lock' }, now)).command;
    if (channel === 'mqtt') {
      const batches = byDevice((await readQueue(table, device.id)).open);
      for (const batch of batches) await wakeFor(table, batch, async () => true, new Date(now));
    }
    await checkIn(now + 1_000, channel === 'mqtt' ? { ...idle, wake: 1 } : idle);
    const results = [{ commandId: id, status: 'acknowledged' as const }];
    await checkIn(now + 2_000, { results, posture: { ...posture('disabled'), locked: true } });
    if (channel === 'mqtt') {
      // The look a minute after the wake-up finds that nothing is left to wake for.
      await wakeAgain(
        table,
        { deviceId: device.id, n: 1, attempt: 0 },
        async () => 'confirmed',
        new Date(now + 60_000),
      );
    }
  });
  return { quiet, heartbeat, clinicalChange, postureChange, command, presence, replyBytes };
}
