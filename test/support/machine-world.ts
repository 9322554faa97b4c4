import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SFNClient } from '@aws-sdk/client-sfn';
import * as v from 'valibot';
import type { Clock, Json } from '../../local/cloud.ts';
import { schedulerPart } from '../../local/services/scheduler/part.ts';
import type { ExecutionRecord } from '../../local/services/states/execution.ts';
import { statesPart } from '../../local/services/states/part.ts';
import { auditRecord } from '../../shared/audit/record.ts';
import { machineStarter } from '../../shared/aws/machine-starter.ts';
import { oneShotScheduler } from '../../shared/aws/one-shot-scheduler.ts';
import { taskAnswerer } from '../../shared/aws/task-answers.ts';
import type { Device } from '../../shared/devices/device.ts';
import type { WeeklyWindow } from '../../shared/places/calendar.ts';
import { getExecution, type StoredExecution } from '../../shared/rollouts/executions/execution-store.ts';
import { gateFor } from '../../shared/rollouts/gate/gate.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { answerWaits } from '../../shared/rollouts/machines/answer-waits.ts';
import { runStep, type StepMeans, StepRequest } from '../../shared/rollouts/machines/steps.ts';
import { listWaits, type Wait } from '../../shared/rollouts/machines/wait-store.ts';
import { digestOf, type PlannedDevice, planDigest, type SitePlan } from '../../shared/rollouts/plan/plan.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';
import { planKey, summaryOf } from '../../shared/rollouts/plan/site-summary.ts';
import type { RolloutDefinition, RolloutEvent } from '../../shared/rollouts/rollout.ts';
import {
  createRollout,
  getRollout,
  putSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../../shared/rollouts/rollout-store.ts';
import { Harness } from '../integration/local/services/harness.ts';
import { after } from './activation.ts';
import { enrol, infusionPump } from './devices.ts';
import type { DevicesTable } from './devices-table.ts';
import { createUnit } from './gates.ts';
import { memoryObjects, rolloutBegin, rolloutDefinition, storedRollout } from './rollouts.ts';
import { resourcesOf, synthesizedUnchecked } from './synthesized.ts';

/** A clock that stands still until it is put forward; then everything that is due happens, in its order. */
export class HandClock implements Clock {
  #now: number;
  readonly #planned = new Set<{ readonly at: number; readonly run: () => void }>();

  constructor(now: number) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  at(at: number, run: () => void): () => void {
    const entry = { at, run };
    this.#planned.add(entry);
    // What is due already does not wait for the clock to move.
    if (at <= this.#now) setImmediate(() => this.#planned.delete(entry) && run());
    return () => this.#planned.delete(entry);
  }

  /** In how many milliseconds something is planned next. */
  nextIn(): number | undefined {
    const times = [...this.#planned].map(({ at }) => at - this.#now);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** Puts the clock forward. @param milliseconds how far */
  forward(milliseconds: number): void {
    const until = this.#now + milliseconds;
    for (;;) {
      const [next] = [...this.#planned].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#planned.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }
}

/** A unit of the world. */
export interface MachineUnit {
  readonly site: 'north' | 'south';
  readonly name: string;
  readonly pumps: number;
  readonly wave: number;
  /** @default always open */
  readonly windows?: readonly WeeklyWindow[];
}

const pump = 'infusion-pump';
const stepFunction = 'arn:aws:lambda:us-east-1:000000000000:function:wardline-rollout-step';
const tickFunction = 'arn:aws:lambda:us-east-1:000000000000:function:wardline-rollout-tick';
const machineArn = (name: string) => `arn:aws:states:us-east-1:000000000000:stateMachine:${name}`;
const executionArn = (machine: string, name: string) =>
  `arn:aws:states:us-east-1:000000000000:execution:${machine}:${name}`;

let worlds = 0;
let templates: ReturnType<typeof resourcesOf> | undefined;

/** The state machines of the synthesized template. */
function machinesOfTemplate(): ReturnType<typeof resourcesOf> {
  templates ??= resourcesOf(synthesizedUnchecked(), 'AWS::StepFunctions::StateMachine');
  return templates;
}

/**
 * A rollout whose state machines, as the template has them, run in the local Step Functions, with the real steps on real
 * tables. Devices do nothing by themselves; a test says what becomes of them.
 */
export class MachineWorld {
  readonly id: string;
  readonly clock = new HandClock(rolloutBegin);
  /** What the machines asked for, in order: `<step> <site>`. */
  readonly steps: string[] = [];
  readonly reported: string[] = [];
  /** Steps that never come to an end, by `<step> <site>`: the function dies in the middle. */
  readonly hanging = new Set<string>();
  /** How many lots of devices a call of `dispatch` has time for. */
  lots = Number.POSITIVE_INFINITY;
  readonly #tables: DevicesTable;
  readonly #objects = memoryObjects();
  readonly #units: (MachineUnit & { readonly unitId: string; readonly devices: readonly Device[] })[] = [];
  readonly #data: string;
  #harness: Harness | undefined;
  #clients: readonly { destroy(): void }[] = [];
  #means: StepMeans | undefined;

  private constructor(tables: DevicesTable, data: string) {
    worlds += 1;
    this.id = `ro-${String(worlds).padStart(26, '0')}`;
    this.#tables = tables;
    this.#data = data;
  }

  /** @param data folder of the local cloud's state */
  static async begin(
    tables: DevicesTable,
    data: string,
    units: readonly MachineUnit[],
    more: Partial<RolloutDefinition> = {},
  ): Promise<MachineWorld> {
    const world = new MachineWorld(tables, data);
    for (const unit of units) await world.#addUnit(unit);
    await world.#approve(more);
    await world.boot();
    return world;
  }

  siteId(site: MachineUnit['site']): string {
    return `s-${site}${this.id.slice(-21)}`;
  }

  async #addUnit(unit: MachineUnit): Promise<void> {
    const unitId = `u-${unit.name.padEnd(6, '0').slice(0, 6)}${this.id.slice(-20)}`;
    const siteId = this.siteId(unit.site);
    const more = unit.windows === undefined ? {} : { maintenanceWindows: [...unit.windows] };
    await createUnit(this.#tables, siteId, unitId, 'T2', more);
    const devices: Device[] = [];
    for (let index = 0; index < unit.pumps; index += 1) {
      const serial = `MACHINE-${worlds}-${unit.name}-${index}`;
      devices.push(
        await enrol(this.#tables.table, { ...infusionPump(serial), siteId, unitId }, new Date(rolloutBegin)),
      );
    }
    this.#units.push({ ...unit, unitId, devices });
  }

  #planOf(site: MachineUnit['site']): SitePlan {
    const siteId = this.siteId(site);
    const own = this.#units.filter((unit) => unit.site === site);
    const waves = [0, 1].map((wave) =>
      own
        .filter((unit) => unit.wave === wave)
        .flatMap(({ unitId, devices }) =>
          devices.map(({ id }): PlannedDevice => ({ id, unitId, class: pump, stratum: 'B/T2' })),
        ),
    );
    const units = own.map(({ wave, unitId, pumps }) => ({
      ...{ wave, unitId, class: pump, devices: pumps, inUnit: pumps },
    })) as SitePlan['units'];
    return { siteId, waves, ineligible: [], units, digest: digestOf(siteId, waves) };
  }

  async #approve(more: Partial<RolloutDefinition>): Promise<void> {
    const plans = (['north', 'south'] as const).map((site) => this.#planOf(site));
    for (const plan of plans) await this.#plans.put(this.id, plan);
    const waves = [
      { name: 'First', scope: { kind: 'units' as const, unitIds: ['u-first'] }, bakeHours: 24, gate: gateFor(0.5) },
      { name: 'Rest', scope: { kind: 'rest' as const }, bakeHours: 24, gate: gateFor(0.5) },
    ];
    const digest = planDigest(plans);
    const devices = waves.map((_, wave) => plans.reduce((sum, plan) => sum + (plan.waves[wave]?.length ?? 0), 0));
    const rollout = after(
      storedRollout(this.id, rolloutDefinition({ waves, ...more })),
      [
        { kind: 'planned', digest, devices },
        { kind: 'submit', by: 'user:ada', approveUntil: rolloutBegin + 60_000 },
        { kind: 'approve', by: 'user:bea', digest },
      ],
      rolloutBegin,
    );
    await createRollout(this.#tables.directory, rollout, this.#record('ApproveRollout'));
    const summaries = plans.map((plan) => summaryOf(this.id, plan));
    if (!(await putSiteSummaries(this.#tables.directory, this.id, rollout.version, summaries)))
      throw new Error('The summaries were not stored.');
  }

  get #plans(): PlanStore {
    return new PlanStore(this.#objects);
  }

  #record(action: string) {
    const entry = { actor: 'user:ada', action, resource: `rollout/${this.id}`, outcome: 'allowed' } as const;
    return auditRecord(rolloutPartition(this.id), entry, new Date(this.clock.now()));
  }

  /** Starts the local cloud, or starts it again with the state that it had. */
  async boot(): Promise<void> {
    const harness = await Harness.open([schedulerPart(), statesPart()], { clock: this.clock, data: this.#data });
    this.#harness = harness;
    for (const { id, Properties } of machinesOfTemplate()) {
      await harness.create('AWS::StepFunctions::StateMachine', id, {
        ...(Properties as Record<string, Json>),
        RoleArn: 'arn:aws:iam::000000000000:role/machine',
        DefinitionSubstitutions: {
          StepFunction: stepFunction,
          SiteRollout: machineArn('wardline-site-rollout'),
          Partition: 'aws',
        },
      });
    }
    await harness.create('AWS::Scheduler::ScheduleGroup', 'Openings', { Name: 'wardline-rollouts' });
    const states = new SFNClient(harness.client);
    const scheduler = new SchedulerClient(harness.client);
    this.#clients = [states, scheduler];
    this.#means = {
      devices: this.#tables.table,
      directory: this.#tables.directory,
      plans: this.#plans,
      answer: taskAnswerer(states),
      scheduleOnce: oneShotScheduler(scheduler, {
        group: 'wardline-rollouts',
        functionArn: tickFunction,
        roleArn: 'arn:aws:iam::000000000000:role/schedule',
        deadLetterArn: 'arn:aws:sqs:us-east-1:000000000000:failures',
      }),
      report: (problem) => this.reported.push(problem),
      hasTime: () => true,
      now: () => new Date(this.clock.now()),
    };
    harness.functions.set('wardline-rollout-step', (event) => this.#step(event));
    harness.cloud.registerTarget('lambda', async (arn, input) => {
      if (arn === tickFunction && (input as { rolloutId?: string }).rolloutId === this.id) await this.look();
    });
    await harness.start();
  }

  async #step(event: Json): Promise<Json> {
    const request = v.parse(StepRequest, event);
    const site = 'siteId' in request && request.siteId !== undefined ? ` ${this.#siteName(request.siteId)}` : '';
    this.steps.push(`${request.step}${site}`);
    let left = this.lots;
    const means = { ...this.#running, hasTime: () => left-- > 0 };
    if (this.hanging.has(`${request.step}${site}`)) {
      // It does its work, and dies before it could say so.
      await runStep(means, request);
      return new Promise<Json>(() => undefined);
    }
    return (await runStep(means, request)) as Json;
  }

  #siteName(siteId: string): string {
    return siteId.startsWith('s-north') ? 'north' : 'south';
  }

  get #running(): StepMeans {
    if (this.#means === undefined) throw new Error('The world has not booted.');
    return this.#means;
  }

  get #cloud(): Harness {
    if (this.#harness === undefined) throw new Error('The world has not booted.');
    return this.#harness;
  }

  /** No role may do this any more. */
  deny(action: string): void {
    this.#cloud.denied.add(action);
  }

  /** The local cloud ends: what is under way has no end. */
  async kill(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    await this.#harness?.close();
    this.#harness = undefined;
  }

  /** A person starts the rollout, as the management API does. */
  async start(): Promise<void> {
    await this.change({ kind: 'start' });
    await this.startMachine(this.id);
  }

  async startMachine(name: string): Promise<void> {
    await machineStarter(new SFNClient(this.#cloud.client), machineArn('wardline-rollout'))(name, {
      rolloutId: this.id,
    });
  }

  /** Starts the machine of a site alone, as it is after so many turns. */
  async startSite(site: MachineUnit['site'], name: string, turns: number): Promise<void> {
    await machineStarter(new SFNClient(this.#cloud.client), machineArn('wardline-site-rollout'))(name, {
      ...{ rolloutId: this.id, siteId: this.siteId(site), name, generation: 0, turn: { count: turns } },
      ...{ wave: { index: -1, stage: 'passed', next: 0, again: -1 }, back: { after: '', told: 0, more: true } },
    });
  }

  /** The rollout changes, and whoever changed it tells the machines. */
  async change(event: RolloutEvent): Promise<StoredRollout> {
    const before = await this.rollout();
    const changed = after(before, [event], this.clock.now());
    if (!(await saveRollout(this.#tables.directory, before, changed, [this.#record('ChangeRollout')])))
      throw new Error('The rollout was not changed.');
    await this.look();
    return changed;
  }

  /** A wave is promoted, by a person to keep it short. */
  promote(wave: number): Promise<StoredRollout> {
    const event = { kind: 'promote-by-hand', by: 'user:ada', reason: 'looked at', bakeUntil: 0 } as const;
    return this.change({ kind: 'wave', wave, event });
  }

  /** What the clock does each minute with waits. */
  async look(backMissing = false): Promise<void> {
    await answerWaits(this.#running, await this.rollout(), new Date(this.clock.now()), backMissing);
  }

  async rollout(): Promise<StoredRollout> {
    const rollout = await getRollout(this.#tables.directory, this.id);
    if (rollout === undefined) throw new Error('There is no rollout.');
    return rollout;
  }

  waits(): Promise<Wait[]> {
    return listWaits(this.#tables.directory, this.id);
  }

  /** Open waits as `<step> <site> <wave>`, sorted. */
  async waiting(): Promise<string[]> {
    return (await this.waits())
      .map(({ step, siteId, wave }) =>
        [step, siteId === undefined ? 'rollout' : this.#siteName(siteId), wave]
          .filter((part) => part !== undefined)
          .join(' '),
      )
      .sort();
  }

  /** Resolves when exactly these waits are open. */
  async until(...waiting: string[]): Promise<void> {
    const wanted = waiting.sort().join(', ');
    const limit = Date.now() + 60_000;
    for (;;) {
      const open = (await this.waiting()).join(', ');
      if (open === wanted) return;
      if (Date.now() > limit)
        throw new Error(`Open are: ${open || 'none'}; wanted: ${wanted || 'none'}; steps: ${this.steps}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  execution(machine: 'rollout' | 'site-rollout', name: string): ExecutionRecord | undefined {
    return this.#cloud.cloud.store.get<ExecutionRecord>('states/execution', executionArn(`wardline-${machine}`, name));
  }

  /** Names of all executions with their status. */
  executions(): string[] {
    return this.#cloud.cloud.store
      .list<ExecutionRecord>('states/execution')
      .filter(({ value }) => value.input.includes(this.id))
      .map(
        ({ value }) =>
          `${value.name.replace(this.id, 'ro').replace(this.siteId('north'), 'north').replace(this.siteId('south'), 'south')} ${value.status}`,
      )
      .sort();
  }

  /** The schedules that are there, as they are stored. */
  schedules(): readonly {
    readonly definition: { readonly name: string; readonly expression: string; readonly zone: string };
  }[] {
    return this.#cloud.cloud.store
      .list<{ definition: { name: string; expression: string; zone: string } }>('scheduler/schedule')
      .map(({ value }) => value)
      .filter(({ definition }) => definition.name.startsWith(this.id));
  }

  devices(name: string): readonly Device[] {
    return this.#units.find((unit) => unit.name === name)?.devices ?? [];
  }

  /** Executions of a unit's devices; those that have none are left out. */
  async of(name: string): Promise<StoredExecution[]> {
    const found = await Promise.all(
      this.devices(name).map(({ id }) => getExecution(this.#tables.table, id, 'firmware')),
    );
    return found.filter((one) => one !== undefined);
  }

  /** Takes the plan of a site away, and gives it back. */
  async losePlan(site: MachineUnit['site']): Promise<() => void> {
    const key = planKey(this.id, this.siteId(site), this.#planOf(site).digest);
    const content = this.#objects.contents.get(key) ?? '';
    this.#objects.contents.delete(key);
    return () => this.#objects.contents.set(key, content);
  }
}
