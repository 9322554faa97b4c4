import { QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { DeviceClass } from '../../../../../shared/devices/device.ts';
import { DeviceClass as classes } from '../../../../../shared/devices/device.ts';
import { endOfOpen, sortKeys } from '../../../../../shared/devices/keys.ts';
import { listDevices } from '../../../../../shared/devices/store.ts';
import type { Admitted } from '../../../../../shared/rollouts/admission/admission.ts';
import { readAway, releaseSparePart, takeSparePart } from '../../../../../shared/rollouts/admission/spares-store.ts';
import { advance, type ExecutionStatus } from '../../../../../shared/rollouts/executions/execution.ts';
import {
  executionPart,
  getExecuted,
  getExecution,
  listExecutions,
  recordIneligible,
  type StoredExecution,
  saveExecution,
  startExecution,
} from '../../../../../shared/rollouts/executions/execution-store.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';
import { rolloutBegin, storedExecution } from '../../../../support/rollouts.ts';

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
});
afterAll(() => tables[Symbol.asyncDispose]());

let count = 0;
function newId(): string {
  count += 1;
  return `d-${String(count).padStart(6, '0')}`;
}

/** The same execution, one version on, in another state. */
const next = (execution: StoredExecution, status: ExecutionStatus): StoredExecution => ({
  ...execution,
  status,
  version: execution.version + 1,
});

const current = (id: string) => getExecution(tables.table, id, 'firmware');

describe('startExecution', () => {
  test('a device without one begins; the same again is there; another rollout finds it busy', async () => {
    const execution = storedExecution(newId());
    expect(await current(execution.deviceId)).toBeUndefined();
    expect(await startExecution(tables.table, execution)).toBe('started');
    expect(await current(execution.deviceId)).toEqual(execution);
    const onTheWay = next(execution, { state: 'staged' });
    expect(await saveExecution(tables.table, execution, onTheWay)).toBe(true);
    expect(await startExecution(tables.table, execution)).toBe('there');
    expect(await startExecution(tables.table, { ...execution, rolloutId: 'ro-2' })).toEqual({ busyWith: 'ro-1' });
    expect(await current(execution.deviceId)).toEqual(onTheWay);
  });

  test('another kind of artifact is no obstacle', async () => {
    const execution = storedExecution(newId());
    await startExecution(tables.table, execution);
    expect(await startExecution(tables.table, { ...execution, rolloutId: 'ro-2', artifactKind: 'app' })).toBe(
      'started',
    );
  });

  test('an ended one makes room and stays in the lists of its rollout, kept for 400 days', async () => {
    const [ended, other] = [storedExecution(newId()), 'ro-other'];
    await startExecution(tables.table, ended);
    const done = next(ended, { state: 'succeeded' });
    await saveExecution(tables.table, ended, done);
    const later = { ...ended, rolloutId: other };
    expect(await startExecution(tables.table, later)).toBe('started');
    expect(await current(ended.deviceId)).toEqual(later);
    expect(await getExecuted(tables.table, ended.deviceId, 'ro-1', 'forward')).toEqual(done);
    const { items } = await listExecutions(tables.table, 'ro-1', 's-1', { group: 'Z', limit: 1_000 });
    expect(items.filter(({ deviceId }) => deviceId === ended.deviceId)).toEqual([done]);
    const [item] = await partition(ended.deviceId, 'EXECUTED#');
    expect(Number(item?.['ttl']) * 1_000).toBe(Date.parse(done.since) + 400 * 86_400_000);
    // A dispatch that is repeated late does not begin the first one anew, whatever came in its place.
    expect(await startExecution(tables.table, ended)).toBe('there');
    await saveExecution(tables.table, later, next(later, { state: 'succeeded' }));
    expect(await startExecution(tables.table, ended)).toBe('there');
    expect((await current(ended.deviceId))?.rolloutId).toBe(other);
  });

  test('the way back begins when the way forward has ended', async () => {
    const forward = storedExecution(newId());
    const back: StoredExecution = { ...forward, direction: 'back', status: { state: 'armed' } };
    await startExecution(tables.table, forward);
    expect(await startExecution(tables.table, back)).toEqual({ busyWith: 'ro-1' });
    const failed = next(forward, { state: 'failed', class: 'install' });
    await saveExecution(tables.table, forward, failed);
    expect(await startExecution(tables.table, back)).toBe('started');
    expect(await getExecuted(tables.table, forward.deviceId, 'ro-1', 'forward')).toEqual(failed);
  });

  test('of many rollouts that begin with a device at the same moment one does (I1), whether something is in the way or not', async () => {
    for (const wasThere of [false, true]) {
      const execution = storedExecution(newId(), { rolloutId: 'ro-before' });
      if (wasThere) {
        await startExecution(tables.table, execution);
        await saveExecution(tables.table, execution, next(execution, { state: 'cancelled', reason: 'aborted' }));
      }
      const rollouts = Array.from({ length: 8 }, (_, index) => `ro-race-${index}`);
      const starts = await Promise.all(
        rollouts.map((rolloutId) => startExecution(tables.table, { ...execution, rolloutId })),
      );
      expect(starts.filter((start) => start === 'started')).toHaveLength(1);
      const winner = rollouts[starts.indexOf('started')];
      expect((await current(execution.deviceId))?.rolloutId).toBe(winner);
      for (const start of starts) if (start !== 'started') expect(start).toEqual({ busyWith: winner });
    }
  });

  test('a dispatch that runs twice at the same moment begins each device once', async () => {
    const execution = storedExecution(newId());
    const starts = await Promise.all(Array.from({ length: 6 }, () => startExecution(tables.table, execution)));
    expect(starts.sort()).toEqual(['started', 'there', 'there', 'there', 'there', 'there'].sort());
  });
});

describe('recordIneligible', () => {
  const excluded = (id: string, more: Partial<StoredExecution> = {}) =>
    storedExecution(id, { status: { state: 'ineligible', reason: 'other-rollout' }, ...more });

  test('is listed beside the execution of another rollout, and changes it not', async () => {
    const other = storedExecution(newId(), { rolloutId: 'ro-2' });
    await startExecution(tables.table, other);
    const execution = excluded(other.deviceId);
    await recordIneligible(tables.table, execution);
    await recordIneligible(tables.table, { ...execution, version: 7 });
    expect(await getExecuted(tables.table, other.deviceId, 'ro-1', 'forward')).toEqual(execution);
    expect(await current(other.deviceId)).toEqual(other);
    // It was told that it takes no part; a dispatch that is repeated does not take it in.
    await saveExecution(tables.table, other, next(other, { state: 'succeeded' }));
    expect(await startExecution(tables.table, storedExecution(other.deviceId))).toBe('there');
  });

  test('does nothing when the device is in the rollout', async () => {
    const execution = storedExecution(newId());
    await startExecution(tables.table, execution);
    await recordIneligible(tables.table, excluded(execution.deviceId));
    expect(await getExecuted(tables.table, execution.deviceId, 'ro-1', 'forward')).toBeUndefined();
  });
});

describe('saveExecution', () => {
  test('of two changes decided on the same version one is written', async () => {
    const execution = storedExecution(newId());
    await startExecution(tables.table, execution);
    const changes: ExecutionStatus[] = [{ state: 'staged' }, { state: 'cancelled', reason: 'aborted' }];
    const saved = await Promise.all(
      changes.map((status) => saveExecution(tables.table, execution, next(execution, status))),
    );
    expect(saved.sort()).toEqual([false, true]);
    expect((await current(execution.deviceId))?.version).toBe(2);
  });

  test('writes not over the execution of another rollout that is at the same version', async () => {
    const first = storedExecution(newId());
    await startExecution(tables.table, first);
    const ended = next(first, { state: 'succeeded' });
    await saveExecution(tables.table, first, ended);
    await startExecution(tables.table, { ...ended, rolloutId: 'ro-2', status: { state: 'queued' } });
    expect(await saveExecution(tables.table, ended, next(ended, { state: 'succeeded' }))).toBe(false);
    expect((await current(first.deviceId))?.rolloutId).toBe('ro-2');
  });

  test('takes and releases the spare in the same transaction', async () => {
    const place = { siteId: 's-1', unitId: 'u-spares', class: classes.InfusionPump };
    const now = new Date(rolloutBegin);
    const armed = await Promise.all(
      [newId(), newId()].map(async (id) => {
        const execution = storedExecution(id, { unitId: place.unitId, status: { state: 'armed' } });
        await startExecution(tables.table, execution);
        return execution;
      }),
    );
    const activated = armed.map((execution) => {
      const admission: Admitted = {
        ...{ admitted: true as const, deviceId: execution.deviceId },
        ...{ at: rolloutBegin, validUntil: rolloutBegin + 10_000, outOfService: 0, budget: 1 },
      };
      const outcome = advance(execution, { kind: 'activate', admission }, 1, rolloutBegin);
      if (!outcome.ok) throw new Error(outcome.reason);
      return { ...execution, ...outcome.value };
    });
    const admitted = await Promise.all(
      armed.map((execution, index) =>
        saveExecution(tables.table, execution, activated[index] ?? execution, [
          takeSparePart(tables.directory, place, execution.deviceId, 'rollout ro-1', 1, now),
        ]),
      ),
    );
    expect(admitted.sort()).toEqual([false, true]);
    const states = await Promise.all(armed.map(async ({ deviceId }) => (await current(deviceId))?.status.state));
    expect(states.sort()).toEqual(['activating', 'armed']);
    const away = await readAway(tables.directory, place, new Date());
    const taken = activated.find(({ deviceId }) => deviceId in away) ?? storedExecution('');
    expect(away).toEqual({ [taken.deviceId]: { by: 'rollout ro-1', since: now.toISOString() } });
    const back = { ...next(taken, { state: 'succeeded' }), outOfService: false };
    const release = releaseSparePart(tables.directory, place, taken.deviceId);
    expect(await saveExecution(tables.table, taken, back, [release])).toBe(true);
    expect(await saveExecution(tables.table, taken, back, [release])).toBe(false);
    expect(await readAway(tables.directory, place, new Date())).toEqual({});
  });
});

describe('listExecutions', () => {
  const place = (unitId: string, deviceClass: DeviceClass, wave: number, rank: number) => ({
    ...{ rolloutId: 'ro-list', unitId, class: deviceClass, wave, rank },
  });
  const put = async (more: Partial<StoredExecution>) => {
    const execution = storedExecution(newId(), more);
    await startExecution(tables.table, execution);
    return execution;
  };

  test('by group, unit and class, in the order of waves and ranks, page by page', async () => {
    const { InfusionPump, Ventilator } = classes;
    const staged = { status: { state: 'staged' } } as const;
    const wave10 = await put({ ...place('u-1', InfusionPump, 10, 0), ...staged });
    const rank12 = await put({ ...place('u-1', InfusionPump, 2, 12), ...staged });
    const rank3 = await put({ ...place('u-1', InfusionPump, 2, 3), ...staged });
    const waits = { state: 'deferred', reason: 'in-use', until: '2027-03-03T00:00:00.000Z', from: 'armed' } as const;
    const deferred = await put({ ...place('u-1', InfusionPump, 0, 9), status: waits });
    const ventilator = await put({ ...place('u-1', Ventilator, 0, 0), ...staged });
    const elsewhere = await put({ ...place('u-10', InfusionPump, 0, 0), ...staged });
    const fetching = await put(place('u-1', InfusionPump, 0, 1));
    const active = await put({ ...place('u-1', InfusionPump, 0, 2), status: { state: 'verifying' } });
    await put({ ...place('u-1', InfusionPump, 0, 0), ...staged, siteId: 's-2' });
    const list = async (options: Omit<Parameters<typeof listExecutions>[3], 'limit'>) =>
      (await listExecutions(tables.table, 'ro-list', 's-1', { ...options, limit: 100 })).items;
    const ready = [deferred, rank3, rank12, wave10];
    expect(await list({ group: 'R', unitId: 'u-1', class: InfusionPump })).toEqual(ready);
    expect(await list({ group: 'R', unitId: 'u-1' })).toEqual([...ready, ventilator]);
    expect(await list({ group: 'R' })).toEqual([...ready, ventilator, elsewhere]);
    expect(await list({ group: 'Q' })).toEqual([fetching]);
    expect(await list({ group: 'A' })).toEqual([active]);
    const all = [active, fetching, ...ready, ventilator, elsewhere];
    expect(await list({})).toEqual(all);

    const pages: StoredExecution[] = [];
    let after: string | undefined;
    do {
      const page = await listExecutions(tables.table, 'ro-list', 's-1', { limit: 3, after });
      pages.push(...page.items);
      after = page.after;
    } while (after !== undefined);
    expect(pages).toEqual(all);
  });
});

describe('the table', () => {
  test('a check-in reads nothing of rollouts, and no list of devices has them', async () => {
    const execution = storedExecution(newId());
    await startExecution(tables.table, execution);
    await recordIneligible(tables.table, { ...execution, rolloutId: 'ro-9' });
    const keys = (await partition(execution.deviceId, 'E')).map(({ sk }) => String(sk));
    expect(keys).toEqual(['EXECUTED#ro-9#forward', 'EXECUTION#firmware']);
    for (const sk of keys) expect(sk < sortKeys.head || sk > endOfOpen).toBe(true);
    const { devices } = await listDevices(tables.table, {}, 100);
    expect(devices).toEqual([]);
  });

  test('costs what docs/tables.md says', async () => {
    const execution = storedExecution(newId());
    tables.requests();
    await startExecution(tables.table, execution);
    expect(tables.requests()).toEqual([{ operation: 'TransactWriteItems', readUnits: 0, writeUnits: 6 }]);
    await getExecution(tables.table, execution.deviceId, 'firmware');
    expect(tables.requests()).toEqual([{ operation: 'GetItem', readUnits: 1, writeUnits: 0 }]);
    const ended = next(execution, { state: 'succeeded' });
    const release = releaseSparePart(tables.directory, execution, execution.deviceId);
    await saveExecution(tables.table, execution, ended, [release]);
    expect(tables.requests()).toEqual([{ operation: 'TransactWriteItems', readUnits: 0, writeUnits: 6 }]);
    await startExecution(tables.table, { ...execution, rolloutId: 'ro-next' });
    const [refused, begun, ...others] = tables.requests();
    expect([refused?.operation, begun, ...others]).toEqual([
      'TransactWriteItems',
      { operation: 'TransactWriteItems', readUnits: 0, writeUnits: 10 },
    ]);
  });

  test('an execution has less than a kilobyte, all ids, a wait and a command included', () => {
    const ulid = '0'.repeat(26);
    const execution = storedExecution(`d-${ulid}`, {
      ...{ rolloutId: `ro-${ulid}`, siteId: `s-${ulid}`, unitId: `u-${ulid}`, class: classes.PatientMonitor },
      ...{ commandId: `1-${ulid}`, stratum: `${'r'.repeat(40)}/T2`, rank: 999_999 },
      status: { state: 'deferred', reason: 'unit-budget', until: '2027-03-03T00:00:00.000Z', from: 'queued' },
    });
    const { Put } = executionPart(tables.table, execution, execution);
    expect(Buffer.byteLength(JSON.stringify(Put?.Item))).toBeLessThan(1_024);
  });
});

async function partition(deviceId: string, prefix: string) {
  const { Items = [] } = await tables.table.client.send(
    new QueryCommand({
      TableName: tables.table.name,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
      ExpressionAttributeValues: { ':pk': `DEVICE#${deviceId}`, ':prefix': prefix },
    }),
  );
  return Items;
}
