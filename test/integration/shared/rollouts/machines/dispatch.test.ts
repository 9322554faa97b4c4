import type { Device } from '../../../../../shared/devices/device.ts';
import {
  getExecuted,
  getExecution,
  type StoredExecution,
  saveExecution,
  startExecution,
} from '../../../../../shared/rollouts/executions/execution-store.ts';
import { type DispatchMeans, dispatch } from '../../../../../shared/rollouts/machines/dispatch.ts';
import { sendBack } from '../../../../../shared/rollouts/machines/roll-back-dispatch.ts';
import { digestOf, type PlannedDevice, type SitePlan } from '../../../../../shared/rollouts/plan/plan.ts';
import type { RolloutEvent } from '../../../../../shared/rollouts/rollout.ts';
import { saveRollout } from '../../../../../shared/rollouts/rollout-store.ts';
import { after, runningRollout } from '../../../../support/activation.ts';
import { enrol, infusionPump } from '../../../../support/devices.ts';
import { type DevicesTable, startDevicesTable } from '../../../../support/devices-table.ts';
import { rolloutBegin, storedExecution } from '../../../../support/rollouts.ts';

let tables: DevicesTable;
beforeAll(async () => {
  tables = await startDevicesTable();
}, 90_000);
afterAll(() => tables[Symbol.asyncDispose]());

const siteId = 's-dispatch';
const unitId = 'u-dispatch';
const now = new Date(rolloutBegin);
const begins = { next: 0, again: -1 };

const pumps = (names: readonly string[]): Promise<Device[]> =>
  Promise.all(names.map((name) => enrol(tables.table, { ...infusionPump(name), siteId, unitId }, now)));

function planOf(devices: readonly Device[]): SitePlan {
  const planned = devices.map(({ id }): PlannedDevice => ({ id, unitId, class: 'infusion-pump', stratum: 'B/T2' }));
  return { siteId, waves: [planned], ineligible: [], units: [], digest: digestOf(siteId, [planned]) };
}

const means = (): DispatchMeans => ({
  devices: tables.table,
  directory: tables.directory,
  hasTime: () => true,
  now: () => now,
});

const executionOf = (device: Device, rolloutId: string, more: Partial<StoredExecution> = {}) =>
  storedExecution(device.id, { rolloutId, siteId, unitId, ...more });

async function become(before: StoredExecution, more: Partial<StoredExecution>): Promise<StoredExecution> {
  const after = { ...before, ...more, version: before.version + 1 };
  if (!(await saveExecution(tables.table, before, after))) throw new Error('It was changed by somebody else.');
  return after;
}

describe('dispatch', () => {
  test('a device that another rollout has is passed over, also when the wave is looked at again', async () => {
    const [busy, free] = (await pumps(['DISPATCH-BUSY', 'DISPATCH-FREE'])) as [Device, Device];
    const rollout = await runningRollout(tables, 'ro-dispatch-busy', rolloutBegin);
    await startExecution(tables.table, executionOf(busy, 'ro-other'));
    for (let look = 0; look < 2; look += 1) {
      expect(await dispatch(means(), rollout.id, planOf([busy, free]), 0, begins)).toEqual({ kind: 'done' });
    }
    expect(await getExecuted(tables.table, busy.id, rollout.id, 'forward')).toMatchObject({
      status: { state: 'ineligible', reason: 'other-rollout' },
    });
    expect((await getExecution(tables.table, free.id, 'firmware'))?.rolloutId).toBe(rollout.id);
  });

  test('a device that another rollout took on after its end here is not begun again', async () => {
    const [device] = (await pumps(['DISPATCH-TAKEN'])) as [Device];
    const rollout = await runningRollout(tables, 'ro-dispatch-taken', rolloutBegin);
    expect(await dispatch(means(), rollout.id, planOf([device]), 0, begins)).toEqual({ kind: 'done' });
    const own = await getExecution(tables.table, device.id, 'firmware');
    if (own === undefined) throw new Error('It was not begun.');
    await become(own, { status: { state: 'failed', class: 'download' } });
    expect(await startExecution(tables.table, executionOf(device, 'ro-later'))).toBe('started');
    expect(await dispatch(means(), rollout.id, planOf([device]), 0, begins)).toEqual({ kind: 'done' });
    expect((await getExecution(tables.table, device.id, 'firmware'))?.rolloutId).toBe('ro-later');
  });
});

describe('what lets nobody go on', () => {
  test.each<[string, RolloutEvent, number]>([
    ['a pause', { kind: 'pause', by: 'operator', words: 'Wait.' }, 0],
    ['a site that is left out', { kind: 'skip-site', siteId }, 0],
    ['a wave before that is not promoted', { kind: 'pause', by: 'operator', words: 'Wait.' }, 1],
  ])('%s: no device is begun, and the wave is taken up again where it was', async (name, event, wave) => {
    const id = `ro-dispatch-${name.replaceAll(' ', '-')}`;
    const [first, second] = (await pumps([`${name} 1`, `${name} 2`])) as [Device, Device];
    const rollout = await runningRollout(tables, id, rolloutBegin);
    const stopped = after(rollout, wave === 0 ? [event] : [event, { kind: 'resume' }], rolloutBegin);
    expect(await saveRollout(tables.directory, rollout, stopped, [])).toBe(true);
    const plan = planOf([first, second]);
    const of = wave === 0 ? plan : { ...plan, waves: [[], ...plan.waves] };
    expect(await dispatch(means(), id, of, wave, begins)).toEqual({ kind: 'stopped', cursor: begins });
    for (const { id: deviceId } of [first, second]) {
      expect(await getExecution(tables.table, deviceId, 'firmware')).toBeUndefined();
    }
  });
});

describe('the way back', () => {
  const activatedAt = now.toISOString();
  const succeeded = { status: { state: 'succeeded' }, activatedAt } as const;

  /** A device that one rollout updated and that a later one had, which ended like this. */
  async function twice(name: string, later: Partial<StoredExecution>) {
    const [device] = (await pumps([name])) as [Device];
    const first = executionOf(device, `ro-${name}-1`);
    await startExecution(tables.table, first);
    const ended = await become(first, succeeded);
    const second = executionOf(device, `ro-${name}-2`);
    await startExecution(tables.table, second);
    await become(second, later);
    return { device, ended };
  }

  test('a device that a later rollout updated does not lose that when an earlier one goes back', async () => {
    for (const [index, later] of [
      succeeded,
      { status: { state: 'timed-out', stage: 'verifying' }, activatedAt } as const,
    ].entries()) {
      const { device, ended } = await twice(`BACK-LATER-${index}`, later);
      await sendBack(tables.table, ended, now);
      expect(await getExecution(tables.table, device.id, 'firmware')).toMatchObject({ ...later, direction: 'forward' });
      expect(await getExecuted(tables.table, device.id, ended.rolloutId, 'back')).toMatchObject({
        status: { state: 'ineligible', reason: 'other-rollout' },
      });
    }
  });

  test('one that the later rollout did not change goes back', async () => {
    const ends = [
      { status: { state: 'cancelled', reason: 'The rollout was aborted.' } },
      { status: { state: 'rolled-back' }, activatedAt },
    ] as const;
    for (const [index, later] of ends.entries()) {
      const { device, ended } = await twice(`BACK-SAME-${index}`, later);
      await sendBack(tables.table, ended, now);
      expect(await getExecution(tables.table, device.id, 'firmware')).toMatchObject({
        rolloutId: ended.rolloutId,
        direction: 'back',
        status: { state: 'staged' },
      });
    }
  });
});
