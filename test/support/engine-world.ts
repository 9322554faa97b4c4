import { DeleteCommand, QueryCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { auditRecord } from '../../shared/audit/record.ts';
import type { Item } from '../../shared/aws/errors.ts';
import { queueCommand } from '../../shared/commands/writer.ts';
import { type Device, deviceIdOf } from '../../shared/devices/device.ts';
import { devicePartition, endOfOpen } from '../../shared/devices/keys.ts';
import { serveCheckIn } from '../../shared/devices/serve-check-in.ts';
import { getDevice } from '../../shared/devices/store.ts';
import type { WeeklyWindow } from '../../shared/places/calendar.ts';
import type { CheckInMessage } from '../../shared/protocols/agent/messages.ts';
import { readAway } from '../../shared/rollouts/admission/spares-store.ts';
import { downloadOrder } from '../../shared/rollouts/admission/update-order.ts';
import type { Engine } from '../../shared/rollouts/engine.ts';
import { isFinal } from '../../shared/rollouts/executions/execution.ts';
import {
  executionOf,
  getExecution,
  type StoredExecution,
  startExecution,
} from '../../shared/rollouts/executions/execution-store.ts';
import { gateFor } from '../../shared/rollouts/gate/gate.ts';
import { isPassed } from '../../shared/rollouts/gate/wave.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { putWait, type Wait } from '../../shared/rollouts/machines/wait-store.ts';
import { digestOf, type PlannedDevice, type SitePlan } from '../../shared/rollouts/plan/plan.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';
import { summaryOf } from '../../shared/rollouts/plan/site-summary.ts';
import { applyChanges, type RolloutChange } from '../../shared/rollouts/progress.ts';
import type { RolloutDefinition, RolloutEvent } from '../../shared/rollouts/rollout.ts';
import {
  createRollout,
  getRollout,
  putSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../../shared/rollouts/rollout-store.ts';
import { type TickMeans, tick } from '../../shared/rollouts/tick.ts';
import { after } from './activation.ts';
import { callerFor, enrol, infusionPump, message } from './devices.ts';
import type { DevicesTable } from './devices-table.ts';
import { createUnit, gateMeans } from './gates.ts';
import { memoryObjects, rolloutBegin, rolloutDefinition, storedRollout } from './rollouts.ts';

/** A unit of the world: how many pumps it has, how many of them must stay, and in which wave they are. */
export interface WorldUnit {
  readonly name: string;
  readonly pumps: number;
  readonly keep: number;
  readonly wave: number;
  /** @default none, so always open */
  readonly windows?: readonly WeeklyWindow[];
}

const pump = 'infusion-pump';
const minute = 60_000;

let worlds = 0;

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * A small hospital that goes through a rollout, on a clock of its own. What the stream of the table would tell is found by
 * looking at the table after each step; it is told out of order, and much of it twice and again later. After each step
 * the invariants I1 to I6 are asserted.
 */
export class EngineWorld {
  readonly id: string;
  readonly siteId: string;
  readonly units: readonly (WorldUnit & { readonly unitId: string; readonly devices: readonly Device[] })[];
  readonly answers: { readonly step: string; readonly verdict: string }[] = [];
  readonly woken: string[] = [];
  /** State machines that the clock started. */
  readonly started: string[] = [];
  /** Names of state machines that have ended. */
  readonly over = new Set<string>();
  /** Tokens that cannot be answered now, and tokens that nobody waits with. */
  readonly failing = new Set<string>();
  readonly gone = new Set<string>();
  now = rolloutBegin;
  readonly #tables: DevicesTable;
  readonly #random: () => number;
  readonly #plans = new PlanStore(memoryObjects());
  readonly #seen = new Map<string, string>();
  readonly #told: RolloutChange[] = [];
  readonly #ended = new Map<string, string>();
  readonly #asked = new Map<string, number>();

  private constructor(tables: DevicesTable, units: EngineWorld['units'], id: string, siteId: string, seed: number) {
    this.#tables = tables;
    this.units = units;
    this.id = id;
    this.siteId = siteId;
    this.#random = randomOf(seed);
  }

  /** A hospital with these units, and a rollout whose first wave has begun. */
  static async begin(
    tables: DevicesTable,
    units: readonly WorldUnit[],
    more: Partial<RolloutDefinition> = {},
    seed = 1,
  ): Promise<EngineWorld> {
    worlds += 1;
    const mark = String(worlds).padStart(4, '0');
    const siteId = `s-${mark}${'e'.repeat(22)}`;
    const placed = [];
    for (const unit of units) {
      const unitId = `u-${mark}${unit.name.padEnd(22, '0').slice(0, 22)}`;
      await createUnit(tables, siteId, unitId, 'T2', {
        spares: { [pump]: unit.keep },
        ...(unit.windows === undefined ? {} : { maintenanceWindows: [...unit.windows] }),
      });
      const devices: Device[] = [];
      for (let index = 0; index < unit.pumps; index += 1) {
        const serial = `ENGINE-${mark}-${unit.name}-${index}`;
        devices.push(
          await enrol(tables.table, { ...infusionPump(serial), siteId, unitId }, new Date(rolloutBegin - minute)),
        );
      }
      placed.push({ ...unit, unitId, devices });
    }
    const world = new EngineWorld(tables, placed, `ro-engine${mark}`, siteId, seed);
    await world.#start(more);
    return world;
  }

  async #start(more: Partial<RolloutDefinition>): Promise<void> {
    const [first = ''] = this.units.map(({ unitId }) => unitId);
    const definition = rolloutDefinition({
      waves: [
        { name: 'Lab', scope: { kind: 'units', unitIds: [first] }, bakeHours: 24, gate: gateFor(0.5) },
        { name: 'Rest', scope: { kind: 'rest' }, bakeHours: 24, gate: gateFor(0.5) },
      ],
      ...more,
    });
    const waves = [0, 1].map((wave) => this.#planned(wave));
    const units = this.units.map(({ wave, unitId, pumps }) => ({
      ...{ wave, unitId, class: pump, devices: pumps, inUnit: pumps },
    })) as SitePlan['units'];
    const plan: SitePlan = { siteId: this.siteId, waves, ineligible: [], units, digest: digestOf(this.siteId, waves) };
    await this.#plans.put(this.id, plan);
    const rollout = after(
      storedRollout(this.id, definition, this.now),
      [
        { kind: 'planned', digest: plan.digest, devices: waves.map(({ length }) => length) },
        { kind: 'submit', by: 'user:ada', approveUntil: this.now + 60 * minute },
        { kind: 'approve', by: 'user:bea', digest: plan.digest },
        { kind: 'start' },
      ],
      this.now,
    );
    // So that it is among those that the clock looks at, it is stored as a draft first.
    const draft = storedRollout(this.id, definition, this.now);
    await createRollout(this.#tables.directory, draft, this.#record('CreateRollout'));
    const saved = await saveRollout(this.#tables.directory, draft, rollout, [this.#record('StartRollout')]);
    if (
      !saved ||
      !(await putSiteSummaries(this.#tables.directory, this.id, rollout.version, [summaryOf(this.id, plan)]))
    )
      throw new Error('The rollout was not stored.');
  }

  #record(action: string) {
    const entry = { actor: 'user:ada', action, resource: `rollout/${this.id}`, outcome: 'allowed' } as const;
    return auditRecord(rolloutPartition(this.id), entry, new Date(this.now));
  }

  #planned(wave: number): PlannedDevice[] {
    return this.units
      .filter((unit) => unit.wave === wave)
      .flatMap(({ unitId, devices }) => devices.map(({ id }) => ({ id, unitId, class: pump, stratum: 'B/T2' })));
  }

  /** What the engine works with. */
  get means(): TickMeans {
    const engine: Engine = {
      devices: this.#tables.table,
      directory: this.#tables.directory,
      wake: async (deviceId) => {
        this.woken.push(deviceId);
        return true;
      },
      answer: async (token, output) => {
        if (this.failing.has(token)) throw Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' });
        if (this.gone.has(token)) return 'gone';
        this.answers.push({ step: token, verdict: (output as { verdict: string }).verdict });
        return 'told';
      },
    };
    const startMachine = async (name: string) => {
      if (this.over.has(name)) return false;
      this.started.push(name);
      return true;
    };
    return { ...engine, plans: this.#plans, startMachine, random: () => 0 };
  }

  /** Tells the devices of a wave to download, as the dispatching step does. */
  async dispatch(wave: number): Promise<void> {
    const rollout = await this.rollout();
    for (const [rank, planned] of this.#planned(wave).entries()) {
      const { kind, name, version, sha256 } = rollout.definition.artifact;
      const at = new Date(this.now).toISOString();
      const execution: StoredExecution = {
        ...{ rolloutId: this.id, deviceId: planned.id, siteId: this.siteId, unitId: planned.unitId, class: pump },
        ...{ artifactKind: kind, sha256, wave, direction: 'forward', status: { state: 'queued' }, dispatchedAt: at },
        ...{ since: at, outOfService: false, version: 1, rank, stratum: planned.stratum, artifact: { name, version } },
      };
      await startExecution(this.#tables.table, execution);
      await queueCommand(
        { devices: this.#tables.table, directory: this.#tables.directory },
        {
          deviceId: planned.id,
          request: downloadOrder(rollout),
          requestedBy: 'system:rollout-progress',
          rollout,
          entry: {
            actor: 'system:test',
            action: 'DownloadUpdate',
            resource: `device/${planned.id}`,
            outcome: 'allowed',
          },
          now: new Date(this.now),
        },
      );
    }
    await this.settle();
  }

  /** A state machine waits in this step; its token is the step's name. */
  wait(step: Wait['step'], wave?: number): Promise<void> {
    const since = new Date(this.now).toISOString();
    const place = wave === undefined ? {} : { siteId: this.siteId, wave };
    return putWait(this.#tables.directory, { rolloutId: this.id, step, token: step, since, ...place });
  }

  async rollout(): Promise<StoredRollout> {
    const rollout = await getRollout(this.#tables.directory, this.id);
    if (rollout === undefined) throw new Error('There is no rollout.');
    return rollout;
  }

  /** A person changes the rollout, as the management API does. */
  async change(event: RolloutEvent): Promise<void> {
    const before = await this.rollout();
    const changed = after(before, [event], this.now);
    if (!(await saveRollout(this.#tables.directory, before, changed, [this.#record('ChangeRollout')])))
      throw new Error('The rollout was not changed.');
    await this.settle();
  }

  async execution(device: Device): Promise<StoredExecution> {
    const execution = await getExecution(this.#tables.table, device.id, 'firmware');
    if (execution === undefined) throw new Error('There is no execution.');
    return execution;
  }

  /** The states of a unit's devices, by how many are in each. */
  async states(unit = 0): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = {};
    for (const device of this.units[unit]?.devices ?? []) {
      const execution = await getExecution(this.#tables.table, device.id, 'firmware');
      const { status } = execution ?? { status: undefined };
      const name = status?.state === 'deferred' ? `deferred: ${status.reason}` : (status?.state ?? 'none');
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  /** The device of a unit in this state, the first of the plan. */
  async first(state: string, unit = 0): Promise<Device> {
    for (const device of this.units[unit]?.devices ?? []) {
      if ((await this.execution(device)).status.state === state) return device;
    }
    throw new Error(`No device of unit ${unit} is ${state}: ${JSON.stringify(await this.states(unit))}`);
  }

  /** A check-in of an idle device, through the real one. @returns the commands that it gets */
  async checkIn(device: Device, more: Partial<CheckInMessage> = {}) {
    const current = (await getDevice(this.#tables.table, deviceIdOf(device.serial), { consistent: true })) ?? device;
    const said: Partial<CheckInMessage> = {
      clinical: { state: 'idle', at: new Date(this.now).toISOString() },
      posture: { battery: { percent: 90, charging: true } },
      ...more,
    };
    const outcome = await serveCheckIn(
      this.#tables.table,
      { caller: callerFor(current), message: message(this.now, said), receivedAt: this.now },
      { now: () => this.now, random: () => 0, ...gateMeans(this.#tables.directory, () => this.now) },
    );
    if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
    return outcome.reply.commands;
  }

  /** The device fetches what waits for it and says that it has it; or, with a reason, that it could not. */
  async download(device: Device, reason?: string): Promise<void> {
    const [command] = await this.checkIn(device);
    if (command?.type !== 'download-update') throw new Error('There is nothing to download.');
    const { sha256 } = (await this.rollout()).definition.artifact;
    this.now += 1_000;
    const result =
      reason === undefined
        ? ({ commandId: command.id, status: 'acknowledged', detail: { sha256 } } as const)
        : ({ commandId: command.id, status: 'failed', reason } as const);
    await this.checkIn(device, { results: [result] });
  }

  /** All devices of a unit have it. */
  async downloadAll(unit = 0): Promise<void> {
    for (const device of this.units[unit]?.devices ?? []) await this.download(device);
    await this.settle();
  }

  /** The device comes, is let in or not, and answers. @returns whether it was let in */
  async activate(device: Device, result: 'works' | (string & {}) = 'works'): Promise<boolean> {
    const command = (await this.checkIn(device)).find(({ type }) => type === 'activate-update');
    await this.settle();
    if (command === undefined) return false;
    this.now += minute;
    if (result === 'works') {
      const back = command.parameters['back'] === true;
      await this.checkIn(device, {
        inventory: { firmwareVersion: back ? '9.4.0' : String(command.parameters['version']) },
        results: [{ commandId: command.id, status: 'acknowledged' }],
      });
    } else if (result !== 'silent') {
      const deferred = result === 'in-use' ? 'deferred' : 'failed';
      await this.checkIn(device, { results: [{ commandId: command.id, status: deferred, reason: result }] });
    }
    await this.settle();
    return true;
  }

  /** Devices that were asked come and work, until nobody is asked any more. */
  async activateAll(unit = 0): Promise<void> {
    for (;;) {
      const asked = [];
      for (const device of this.units[unit]?.devices ?? []) {
        if ((await this.execution(device)).status.state === 'armed') asked.push(device);
      }
      if (asked.length === 0) return;
      for (const device of asked) await this.activate(device);
    }
  }

  /** The device's activation was never stored: whoever asked it broke off before. */
  async loseCommand(device: Device): Promise<void> {
    for (const { pk, sk, type } of await this.#items()) {
      if (pk !== devicePartition(device.id) || type !== 'activate-update') continue;
      const { client, name: TableName } = this.#tables.table;
      await client.send(new DeleteCommand({ TableName, Key: { pk, sk } }));
    }
  }

  /** Time passes; the clock looks at the rollouts. */
  async pass(minutes: number): Promise<void> {
    this.now += minutes * minute;
    const failed = await tick(this.means, new Date(this.now), this.id);
    for (const error of failed.values()) throw error;
    await this.settle();
  }

  /** Tells the engine what changed until nothing changes any more. */
  async settle(): Promise<void> {
    for (let round = 0; round < 30; round += 1) {
      const items = await this.#items();
      const fresh = this.#changes(items);
      await this.#assertInvariants(items);
      if (fresh.length === 0) return;
      // A third of it twice, and of what was told long ago a few again; in any order.
      const again = fresh.filter(() => this.#random() < 0.3);
      const old = this.#told.filter(() => this.#random() < 0.05);
      const messages = [...fresh, ...again, ...old]
        .map((change) => ({ change, order: this.#random() }))
        .sort((a, b) => a.order - b.order)
        .map(({ change }, index) => ({ id: String(index), change }));
      this.#told.push(...fresh);
      const failed = await applyChanges(this.means, messages, new Date(this.now));
      for (const error of failed.values()) throw error;
    }
    throw new Error('The engine does not come to rest.');
  }

  /** Commands and executions of the world's devices. */
  async #items(): Promise<Item[]> {
    const { client, name } = this.#tables.table;
    const pages = await Promise.all(
      this.units
        .flatMap(({ devices }) => devices)
        .map(({ id }) =>
          client.send(
            new QueryCommand({
              TableName: name,
              KeyConditionExpression: 'pk = :device AND sk BETWEEN :first AND :last',
              ExpressionAttributeValues: { ':device': devicePartition(id), ':first': 'CLOSED#', ':last': endOfOpen },
              ConsistentRead: true,
            }),
          ),
        ),
    );
    return pages.flatMap(({ Items = [] }) => Items);
  }

  /** Alerts, and the audit trail of the rollout. */
  async told(): Promise<{ readonly alerts: readonly Item[]; readonly trail: readonly Item[] }> {
    const { client, name: TableName } = this.#tables.directory;
    const { Items = [] } = await client.send(new ScanCommand({ TableName, ConsistentRead: true }));
    const own = (item: Item) => (item['details'] as { rolloutId?: string } | undefined)?.rolloutId === this.id;
    return {
      alerts: Items.filter((item) => item['sk'] === 'ALERT' && own(item)),
      trail: Items.filter(({ pk, sk }) => pk === rolloutPartition(this.id) && String(sk).startsWith('AUDIT#')),
    };
  }

  /** What the stream would tell, as the function that reads it hands it on. */
  #changes(all: readonly Item[]): RolloutChange[] {
    const changes: RolloutChange[] = [];
    for (const item of all) {
      const sk = String(item['sk']);
      const kind = /^EXECUT(ION|ED)#/.test(sk) ? 'execution' : /^(OPEN|CLOSED)#/.test(sk) ? 'command' : undefined;
      const of = kind === 'command' ? (item['parameters'] as { rolloutId?: string })?.rolloutId : item['rolloutId'];
      if (kind === undefined || of !== this.id) continue;
      const key = `${String(item['pk'])} ${sk}`;
      const text = JSON.stringify(item);
      if (this.#seen.get(key) === text) continue;
      const isNew = !this.#seen.has(key);
      this.#seen.set(key, text);
      // A command that is only queued is no news to a rollout.
      if (sk.startsWith('OPEN#') && isNew) continue;
      changes.push({ kind, after: item as Record<string, unknown> });
    }
    return changes;
  }

  /** I1 is the key of the item; the others are looked at here. */
  async #assertInvariants(all: readonly Item[]): Promise<void> {
    const rollout = await this.rollout();
    const items = all.filter(({ rolloutId, sk }) => {
      return rolloutId === this.id && /^EXECUT(ION|ED)#/.test(String(sk));
    });
    const executions = items.map(executionOf);
    for (const { unitId, pumps, keep, devices } of this.units) {
      const place = { siteId: this.siteId, unitId, class: pump } as const;
      const away = Object.keys(await readAway(this.#tables.directory, place, new Date(this.now)));
      // I2: what is away is counted, and never more than the unit can spare.
      expect(away.length).toBeLessThanOrEqual(Math.max(0, pumps - keep));
      const current = items.filter(({ sk }) => String(sk).startsWith('EXECUTION#')).map(executionOf);
      const missing = current.filter((execution) => execution.unitId === unitId && execution.outOfService);
      expect(away).toEqual(expect.arrayContaining([...new Set(missing.map(({ deviceId }) => deviceId))]));
      const ids = new Set<string>(devices.map(({ id }) => id));
      expect(executions.filter(({ deviceId, unitId: own }) => ids.has(deviceId) && own !== unitId)).toEqual([]);
    }
    for (const execution of executions) {
      const { deviceId, direction, status, wave, since } = execution;
      const key = `${deviceId} ${direction}`;
      // I4: an end is final.
      const end = this.#ended.get(key);
      if (end !== undefined) expect(JSON.stringify(status)).toBe(end);
      if (isFinal(execution)) this.#ended.set(key, JSON.stringify(status));
      // I5: whoever waits, waits until a time that was to come.
      if (status.state === 'deferred') expect(Date.parse(status.until)).toBeGreaterThan(Date.parse(since));
      if (status.state !== 'armed' && status.state !== 'activating') continue;
      const before = this.#asked.get(`${key} ${status.state} ${since}`);
      this.#asked.set(`${key} ${status.state} ${since}`, this.now);
      if (before !== undefined) continue;
      // I6, and nobody begins anew while it is paused, stopped or on its way to an end.
      if (direction === 'forward') {
        expect(rollout.waves.slice(0, wave).every(isPassed)).toBe(true);
        expect(['running', 'soaking']).toContain(rollout.state);
      } else expect(rollout.state).toBe('rolling-back');
    }
  }
}
