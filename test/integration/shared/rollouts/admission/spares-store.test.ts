import { cancellationsOf } from '../../../../../shared/aws/errors.ts';
import { DeviceClass } from '../../../../../shared/devices/device.ts';
import { enrolUnregistered, transact } from '../../../../../shared/devices/store.ts';
import {
  countOfClass,
  endLease,
  readAway,
  releaseSparePart,
  type SparesPlace,
  settleAway,
  takeSparePart,
} from '../../../../../shared/rollouts/admission/spares-store.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
});
afterAll(() => tables[Symbol.asyncDispose]());

const now = new Date('2027-03-02T20:00:00.000Z');
const place = (unitId: string): SparesPlace => ({ siteId: 's-1', unitId, class: DeviceClass.InfusionPump });

/** Whether the spare was given. */
async function take(unit: SparesPlace, deviceId: string, budget: number, by = 'rollout ro-1'): Promise<boolean> {
  for (;;) {
    try {
      await transact(tables.directory, [takeSparePart(tables.directory, unit, deviceId, by, budget, now)]);
      return true;
    } catch (error) {
      const code = cancellationsOf(error)?.[0]?.code;
      if (code === 'ConditionalCheckFailed') return false;
      if (code !== 'TransactionConflict') throw error;
    }
  }
}

const release = (unit: SparesPlace, deviceId: string) =>
  transact(tables.directory, [releaseSparePart(tables.directory, unit, deviceId)]);

const away = async (unit: SparesPlace) => Object.keys(await readAway(tables.directory, unit, now)).sort();

describe('spares', () => {
  test('of twenty who ask for the last three at the same moment three get one (I2)', async () => {
    const unit = place('u-race');
    const asked = Array.from({ length: 20 }, (_, index) => `d-${index}`);
    const taken = await Promise.all(asked.map((id) => take(unit, id, 3)));
    expect(taken.filter(Boolean)).toHaveLength(3);
    expect(await away(unit)).toEqual(asked.filter((_, index) => taken[index]).sort());
  });

  test('a spare that comes back is given again; coming back twice frees no second one', async () => {
    const unit = place('u-again');
    expect(await take(unit, 'd-1', 1)).toBe(true);
    expect(await take(unit, 'd-2', 1)).toBe(false);
    await release(unit, 'd-1');
    await release(unit, 'd-1');
    await release(unit, 'd-9');
    expect(await take(unit, 'd-2', 1)).toBe(true);
    expect(await take(unit, 'd-3', 1)).toBe(false);
    expect(await away(unit)).toEqual(['d-2']);
  });

  test('a device that is away takes no second spare, whoever takes it', async () => {
    const unit = place('u-same');
    expect(await take(unit, 'd-1', 2)).toBe(true);
    expect(await take(unit, 'd-1', 2, 'rollout ro-2')).toBe(true);
    expect(await take(unit, 'd-2', 2)).toBe(true);
    expect(await take(unit, 'd-3', 2)).toBe(false);
    // The unit can spare none any more: what is away stays so, and may be taken on.
    expect(await take(unit, 'd-1', 0)).toBe(true);
    expect(await take(unit, 'd-3', 0)).toBe(false);
    expect(await readAway(tables.directory, unit, now)).toEqual({
      'd-1': { by: 'rollout ro-1', since: now.toISOString() },
      'd-2': { by: 'rollout ro-1', since: now.toISOString() },
    });
  });

  test('what a single command took is free after its time, and as soon as the command is over', async () => {
    const unit = place('u-lease');
    const minutes = (count: number) => new Date(now.getTime() + count * 60_000);
    const lease = (id: string, by: string) =>
      transact(tables.directory, [takeSparePart(tables.directory, unit, id, by, 2, now, minutes(15))]);
    await lease('d-1', 'command c-1');
    await lease('d-2', 'command c-2');
    expect(Object.keys(await settleAway(tables.directory, unit, minutes(14))).sort()).toEqual(['d-1', 'd-2']);
    expect(await take(unit, 'd-3', 2)).toBe(false);
    // A rollout takes the device on: neither the end of the command nor its time frees it.
    expect(await take(unit, 'd-2', 2)).toBe(true);
    await endLease(tables.directory, unit, 'd-2', 'command c-2');
    expect(Object.keys(await readAway(tables.directory, unit, minutes(15)))).toEqual(['d-2']);
    expect(await take(unit, 'd-3', 2)).toBe(false);
    expect(Object.keys(await settleAway(tables.directory, unit, minutes(15)))).toEqual(['d-2']);
    expect(await take(unit, 'd-3', 2)).toBe(true);
    await release(unit, 'd-3');
    await lease('d-4', 'command c-4');
    await endLease(tables.directory, unit, 'd-4', 'command c-4');
    await endLease(tables.directory, unit, 'd-4', 'command c-4');
    expect(await away(unit)).toEqual(['d-2']);
  });

  test('a unit that can spare none gives none, though nobody is away', async () => {
    expect(await take(place('u-none'), 'd-1', 0)).toBe(false);
    expect(await readAway(tables.directory, place('u-none'), now)).toEqual({});
  });

  test('units and classes have spares of their own', async () => {
    const [one, other] = [place('u-own'), { ...place('u-own'), class: DeviceClass.Ventilator }];
    expect(await take(one, 'd-1', 1)).toBe(true);
    expect(await take(other, 'd-2', 1)).toBe(true);
    expect(await take(place('u-own-2'), 'd-3', 1)).toBe(true);
  });

  test('the devices of a class are counted in the unit', async () => {
    const common = { platform: 'iomt', ownership: 'organization', siteId: 's-1' } as const;
    const devices = [
      ...Array.from({ length: 4 }, () => ({ unitId: 'u-count', class: DeviceClass.InfusionPump })),
      { unitId: 'u-count', class: DeviceClass.Ventilator },
      { unitId: 'u-count-2', class: DeviceClass.InfusionPump },
    ];
    for (const [index, device] of devices.entries()) {
      const certificate = { fingerprint: `f-${index}`, expiresAt: new Date('2028-01-01T00:00:00.000Z') };
      await transact(
        tables.table,
        enrolUnregistered(tables.table, { serial: `S-${index}`, ...common, ...device }, certificate, now),
      );
    }
    expect(await countOfClass(tables.table, place('u-count'))).toBe(4);
    expect(await countOfClass(tables.table, place('u-nobody'))).toBe(0);
  });
});
