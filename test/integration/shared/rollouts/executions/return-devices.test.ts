import { saveHeadChanges, transact } from '../../../../../shared/devices/store.ts';
import { readAway, takeSparePart } from '../../../../../shared/rollouts/admission/spares-store.ts';
import type { Engine } from '../../../../../shared/rollouts/engine.ts';
import { type StoredExecution, startExecution } from '../../../../../shared/rollouts/executions/execution-store.ts';
import { returnDevices } from '../../../../../shared/rollouts/executions/tick-executions.ts';
import { enrol, infusionPump, start } from '../../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';
import { storedExecution } from '../../../../support/rollouts.ts';

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
}, 90_000);
afterAll(() => tables[Symbol.asyncDispose]());

const place = { siteId: 's-return', unitId: 'u-return', class: 'infusion-pump' } as const;
const now = new Date(start + 3_600_000);
const at = (minutes: number) => new Date(start + minutes * 60_000).toISOString();

/** Who is away after a look, of a device that failed so, failed to go back, and says now that it is idle. */
async function awayAfter(serial: string, status: StoredExecution['status']): Promise<readonly string[]> {
  const engine: Engine = {
    devices: tables.table,
    directory: tables.directory,
    wake: async () => true,
    answer: async () => 'told',
  };
  const device = await enrol(tables.table, { ...infusionPump(serial), ...place });
  await saveHeadChanges(tables.table, device, { lastSeenAt: at(30), clinical: { state: 'idle', at: at(30) } }, {});
  const gone = { ...place, rolloutId: `ro-${serial}`, activatedAt: at(1), since: at(2), outOfService: true };
  const back = { direction: 'back', status: { state: 'failed', class: 'other' } } as const;
  await startExecution(tables.table, storedExecution(device.id, { ...gone, status }));
  await startExecution(tables.table, storedExecution(device.id, { ...gone, ...back }));
  await transact(tables.directory, [
    takeSparePart(tables.directory, place, device.id, `rollout ro-${serial}`, 10, now),
  ]);
  await returnDevices(engine, place, 'firmware', now);
  return Object.keys(await readAway(tables.directory, place, now)).filter((id) => id === device.id);
}

test('a device that says that it works is back after a way back that failed; not after a safety event', async () => {
  expect(await awayAfter('RETURN-FAILED', { state: 'failed', class: 'self-test' })).toEqual([]);
  expect(await awayAfter('RETURN-SAFETY', { state: 'failed', class: 'safety' })).toHaveLength(1);
});
