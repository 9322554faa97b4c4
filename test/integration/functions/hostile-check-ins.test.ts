import fc from 'fast-check';
import type { Means } from '../../../functions/device-checkin/means.ts';
import { serveMqtt } from '../../../functions/device-checkin/over-mqtt.ts';
import { getStoredCommand } from '../../../shared/commands/store.ts';
import { getReport } from '../../../shared/devices/store.ts';
import { enrol, queue, start } from '../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../support/devices-table.ts';
import { gateMeans, officePhone, openOffice } from '../../support/gates.ts';
import { hostileJson, hostileText } from '../../support/hostile.ts';

let devices: DevicesTable;
let means: Means;
let published: { topic: string; message: Record<string, unknown> }[] = [];
const failures: unknown[] = [];

beforeAll(async () => {
  devices = await startDevicesTable();
  await openOffice(devices);
  means = {
    table: devices.table,
    surroundings: { now: () => start, random: () => 0, ...gateMeans(devices.directory, () => start) },
    publish: async (topic, message) => void published.push({ topic, message: { ...message } }),
    journal: {
      served: () => undefined,
      refused: () => undefined,
      failed: (...said) => void failures.push(said),
      flush: () => undefined,
    },
  };
}, 90_000);
afterAll(() => devices[Symbol.asyncDispose]());

/** Members of a JSON object that a broken or malicious device may send, as JSON text. */
const object = fc
  .array(fc.tuple(fc.oneof(hostileText, fc.constantFrom('battery', 'os', 'version', 'state')), hostileJson), {
    maxLength: 4,
  })
  .map((members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`);
const some = (text: fc.Arbitrary<string>) => fc.option(text, { nil: undefined });

const asSent = (text: string): unknown => JSON.parse(JSON.stringify(JSON.parse(text)));

test('whatever a device says, it is answered once: taken as it was said, or refused; never lost, never half', async () => {
  const said = fc.record({
    inventory: some(fc.oneof({ weight: 4, arbitrary: object }, { weight: 1, arbitrary: hostileJson })),
    posture: some(object),
    detail: some(object),
    reason: some(hostileText.map((text) => JSON.stringify(text))),
    clientToken: some(hostileText.map((text) => JSON.stringify(text))),
    __proto__: object,
    status: fc.constantFrom('acknowledged', 'failed', 'deferred'),
  });
  let serials = 0;
  await fc.assert(
    fc.asyncProperty(said, async ({ status, detail, reason, ...members }) => {
      serials += 1;
      const device = await enrol(devices.table, officePhone(`HOSTILE-${serials}`));
      const { command } = await queue(devices.table, device, { type: 'inventory' });
      const result = { commandId: `"${command.id}"`, status: `"${status}"`, detail, reason };
      const message = { at: `"${new Date(start).toISOString()}"`, results: `[${jsonOf(result)}]`, ...members };
      published = [];
      await serveMqtt(
        {
          payload: Buffer.from(jsonOf(message)).toString('base64'),
          clientId: device.id,
          thing: device.id,
          principal: device.certificate ?? '',
          receivedAt: start,
        },
        means,
      );
      expect(failures).toEqual([]);
      expect(published).toHaveLength(1);
      const [answer] = published;
      const report = await getReport(devices.table, device.id, 'inventory');
      const after = await getStoredCommand(devices.table, device.id, command.id);
      if (answer?.topic.endsWith('/rejected')) {
        expect([400, 413]).toContain(answer.message['status']);
        expect([report, after?.status]).toEqual([undefined, 'queued']);
        return;
      }
      if (members.inventory !== undefined) expect(report?.report).toEqual(asSent(members.inventory));
      // A new inventory is the evidence that it was reported anew.
      const verified = status === 'acknowledged' && members.inventory !== undefined;
      expect(after?.status).toBe(verified ? 'verified' : status);
      if (detail !== undefined && status !== 'deferred') expect(after?.detail).toEqual(asSent(detail));
    }),
    { numRuns: 60 },
  );
});

/** An object of members that are JSON already. */
const jsonOf = (members: Readonly<Record<string, string | undefined>>): string =>
  `{${Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(',')}}`;
