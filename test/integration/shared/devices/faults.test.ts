import { getCommand, listCommands } from '../../../../shared/commands/writer.ts';
import type { Device } from '../../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../../shared/devices/serve-check-in.ts';
import { getDevice, getReport, renewCertificate, transact } from '../../../../shared/devices/store.ts';
import { callerFor, enrol, fingerprint, message, queue, start } from '../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../support/devices-table.ts';
import { type Fault, injectFaults, Killed } from '../../../support/faults.ts';
import { gateMeans, officePhone, openOffice } from '../../../support/gates.ts';

let devices: DevicesTable;
let serials = 0;

beforeAll(async () => {
  devices = await startDevicesTable();
  await openOffice(devices);
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

const later = start + 60_000;

/** A device with a command of each kind of future, and the message that moves all of them at once. */
async function busyDay() {
  serials += 1;
  const enrolled = await enrol(devices.table, officePhone(`FAULT-${serials}`));
  const ask = async (request: unknown) => (await queue(devices.table, enrolled, request)).command.id;
  const logs = await ask({ type: 'collect-logs' });
  const lock = await ask({ type: 'lock' });
  const update = await ask({ type: 'install-update', parameters: { version: '2' } });
  const expiring = await ask({ type: 'locate', expiresAt: new Date(start + 1_000).toISOString() });
  const next = { fingerprint: fingerprint(`next-${serials}`), expiresAt: new Date(start + 86_400_000) };
  await transact(devices.table, renewCertificate(devices.table, enrolled, next, new Date(start)));
  const device: Device = { ...enrolled, certificate: next.fingerprint };
  const sent = message(later, {
    inventory: { os: { version: '1' } },
    posture: { locked: true },
    clinical: { state: 'in-use', at: new Date(later).toISOString() },
    results: [
      { commandId: logs, status: 'acknowledged', detail: { where: 'there' } },
      { commandId: lock, status: 'acknowledged' },
    ],
  });
  const serve = () =>
    serveCheckIn(
      devices.table,
      { caller: callerFor(device), message: sent, receivedAt: later },
      { now: () => later, random: () => 0, ...gateMeans(devices.directory, () => later) },
    );
  const outcome = async () => {
    const { commands } = await listCommands(devices.table, device.id, 10, undefined, new Date(later));
    const { certificate, nextCertificate, clinical } =
      (await getDevice(devices.table, device.id, { consistent: true })) ?? {};
    return {
      lives: Object.fromEntries(
        commands.map(({ type, history }) => [type, history.map(({ status }) => status).join(' ')]),
      ),
      promoted: certificate === next.fingerprint && nextCertificate === undefined,
      clinical,
      inventory: await getReport(devices.table, device.id, 'inventory'),
      posture: await getReport(devices.table, device.id, 'posture'),
      detail: (await getCommand(devices.table, device.id, logs, new Date(later))).detail,
    };
  };
  return { serve, outcome, update, expiring };
}

const undisturbed = {
  lives: {
    'collect-logs': 'queued acknowledged',
    lock: 'queued acknowledged verified',
    'install-update': 'queued delivered',
    locate: 'queued expired',
  },
  promoted: true,
  clinical: { state: 'in-use', at: new Date(later).toISOString() },
  inventory: { at: new Date(later).toISOString(), report: { os: { version: '1' } } },
  posture: { at: new Date(later).toISOString(), report: { locked: true } },
  detail: { where: 'there' },
};

test('without a fault', async () => {
  const day = await busyDay();
  const answer = await day.serve();
  expect(answer).toMatchObject({ reply: { commands: [{ id: day.update }] } });
  expect(await day.outcome()).toEqual(undisturbed);
});

/** From before the query until after the last of four commands and the head. */
const requests = [0, 1, 2, 4, 6];

test.each((['killed-before', 'killed-after'] as const).flatMap((fault) => requests.map((n) => [fault, n] as const)))(
  '%s request %d, then the device checks in again: nothing lost, nothing twice',
  async (fault, n) => {
    const day = await busyDay();
    const stop = injectFaults(devices.table, (attempt) => (attempt >= n ? fault : undefined));
    try {
      await day.serve().catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
    } finally {
      stop();
    }
    expect(await day.serve()).toMatchObject({ reply: { commands: [{ id: day.update }] } });
    expect(await day.outcome()).toEqual(undisturbed);
  },
);

test.each([
  [
    'every second try is throttled',
    (attempt: number): Fault | undefined => (attempt % 2 === 0 ? 'throttled' : undefined),
  ],
  [
    'every second answer is lost',
    (attempt: number): Fault | undefined => (attempt % 2 === 0 ? 'answer-lost' : undefined),
  ],
  [
    'both',
    (attempt: number): Fault | undefined => (['throttled', undefined, 'answer-lost', undefined] as const)[attempt % 4],
  ],
])(
  '%s: the check-in goes through at once',
  async (_name, decide) => {
    const day = await busyDay();
    const stop = injectFaults(devices.table, decide);
    try {
      expect(await day.serve()).toMatchObject({ reply: { commands: [{ id: day.update }] } });
    } finally {
      stop();
    }
    expect(await day.outcome()).toEqual(undisturbed);
  },
  30_000,
);

test('a table that is down fails the check-in as a whole; once it is back, all is as it should be', async () => {
  const day = await busyDay();
  const stop = injectFaults(devices.table, () => 'throttled');
  try {
    await expect(day.serve()).rejects.toMatchObject({ name: 'ThrottlingException' });
  } finally {
    stop();
  }
  await day.serve();
  expect(await day.outcome()).toEqual(undisturbed);
});

test('a command is queued once although the answer to its transaction is lost', async () => {
  serials += 1;
  const device = await enrol(devices.table, officePhone(`FAULT-${serials}`));
  const stop = injectFaults(devices.table, (attempt) => (attempt === 1 ? 'answer-lost' : undefined));
  try {
    await queue(devices.table, device, { type: 'message', parameters: { text: 'once' } });
  } finally {
    stop();
  }
  const { commands } = await listCommands(devices.table, device.id, 10, undefined, new Date(start));
  expect(commands).toHaveLength(1);
});
