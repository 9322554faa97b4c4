import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { auditRecord } from '../shared/audit/record.ts';
import { openTable } from '../shared/aws/dynamodb.ts';
import { CommandStatus } from '../shared/commands/command.ts';
import { byDevice, wakeFor } from '../shared/commands/push.ts';
import { commandOf } from '../shared/commands/store.ts';
import { wakeAgain } from '../shared/commands/wake-again.ts';
import { type Device, DeviceClass } from '../shared/devices/device.ts';
import { HandOnQueue, handOn } from '../shared/devices/hand-on.ts';
import { openPrefix } from '../shared/devices/keys.ts';
import { serveCheckIn } from '../shared/devices/serve-check-in.ts';
import { defaultInterlock } from '../shared/interlock/settings.ts';
import type { CheckInMessage, CheckInReply } from '../shared/protocols/agent/messages.ts';
import { isFinal } from '../shared/rollouts/executions/execution.ts';
import { getExecution } from '../shared/rollouts/executions/execution-store.ts';
import { isPassed } from '../shared/rollouts/gate/wave.ts';
import { rolloutPartition, rolloutSortKeys } from '../shared/rollouts/keys.ts';
import { runStep } from '../shared/rollouts/machines/steps.ts';
import { putWait } from '../shared/rollouts/machines/wait-store.ts';
import { candidateSource } from '../shared/rollouts/plan/candidate-source.ts';
import { PlanStore } from '../shared/rollouts/plan/plan-store.ts';
import { runPlan } from '../shared/rollouts/plan/run-plan.ts';
import { Ineligibility } from '../shared/rollouts/plan/selection.ts';
import { planKey, type SiteSummary } from '../shared/rollouts/plan/site-summary.ts';
import { applyChanges, type ChangeMessage, type RolloutChange } from '../shared/rollouts/progress.ts';
import { advanceRollout, type RolloutEvent } from '../shared/rollouts/rollout.ts';
import {
  createRollout,
  getRollout,
  listSiteSummaries,
  putSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../shared/rollouts/rollout-store.ts';
import { tick } from '../shared/rollouts/tick.ts';
import { callerFor, enrol, infusionPump, message } from '../test/support/devices.ts';
import { startDevicesTable } from '../test/support/devices-table.ts';
import { createUnit, gateMeans } from '../test/support/gates.ts';
import { memoryObjects, rolloutBegin, rolloutDefinition, storedRollout } from '../test/support/rollouts.ts';
import { databasePort } from '../test/support/start-database.ts';
import { TableMeter, type Units } from './table-meter.ts';

/** The network that a rollout goes through. */
export interface RolloutScale {
  readonly devices: number;
  readonly sites: number;
}

/** A care unit of the network, and what it can spare. */
export const unitOfPlay = { devices: 24, keep: 21 } as const;

/** One device in so many is in use when it is asked first, and is asked again. */
const inUseOnceIn = 4;

/** Messages of the queue `rollout-changes` in one batch: a tenth of what it may have, so that quiet hours are covered too. */
export const messagesOfBatch = 10;

/** The steps of a device's way that are measured apart. */
export const playSteps = [
  'plan',
  'told to download',
  'wake-ups',
  'check-ins',
  'counted, judged, asked (rollout-progress)',
  'asked again (rollout-tick)',
] as const;
export type PlayStep = (typeof playSteps)[number];

/** What was measured; all but `look` and `openUnit` for one device. */
export interface PlayMeasured {
  readonly steps: Readonly<Record<PlayStep, { readonly read: number; readonly write: number; readonly index: number }>>;
  readonly checkIns: number;
  /** Messages to devices over MQTT that tell them to come. */
  readonly wakeUps: number;
  /** Messages of the queue `rollout-changes`. */
  readonly messages: number;
  /** Changes of the Devices table that `device-push` reads. */
  readonly changes: number;
  /** Read units of one look of the clock at the rollout, without its units. */
  readonly look: number;
  /** Read units that each unit of an open wave adds to it. */
  readonly quietUnit: number;
  /** Read units that devices which wait there add to that. */
  readonly openUnit: number;
  /** Largest item, bytes, by the first part of its sort key. */
  readonly largest: ReadonlyMap<string, number>;
  /** Write units by partition. */
  readonly partitions: {
    /** Of the index `byRollout`: to tell a device, and all of its way. */
    readonly indexToTell: number;
    readonly index: number;
    /** Of the rollout in the Directory table, for each batch of messages. */
    readonly rollout: number;
    readonly spares: number;
  };
}

const minute = 60_000;
const id = (prefix: string, number: number) => `${prefix}-${String(number).padStart(26, '0')}`;
const siteId = id('s', 0);
const unitId = id('u', 0);
const rolloutId = 'ro-01hzzzzzzzzzzzzzzzzzzzzzzz';
const deviceClass = DeviceClass.InfusionPump;

/**
 * Plays the whole way of the devices of one unit through a rollout against DynamoDB Local, by the real functions: plan,
 * dispatch, wake-ups, check-ins, progress and clock. The other sites of the network are there with their plans, counts
 * and waits, since these are read again and again.
 */
export async function playRollout(scale: RolloutScale): Promise<PlayMeasured> {
  await using devices = await startDevicesTable();
  const { table, directory } = devices;
  const raw = openTable('raw', {
    endpoint: `http://127.0.0.1:${process.env[databasePort] ?? ''}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const unmetered = { name: table.name, client: raw.client };

  let now = rolloutBegin;
  const at = () => new Date(now);
  const said = (clinical: 'idle' | 'in-use', firmwareVersion?: string): Partial<CheckInMessage> => ({
    clinical: { state: clinical, at: at().toISOString() },
    posture: {
      battery: { percent: 90, charging: true },
      screenLock: { state: 'not-applicable' },
      secureBoot: 'enabled',
    },
    ...(firmwareVersion === undefined
      ? {}
      : { inventory: { firmwareVersion, drugLibrary: '2026-02', modules: Array(40).fill('module 1.2.3') } }),
  });
  const checkIn = async (device: Device, more: Partial<CheckInMessage>): Promise<CheckInReply['commands']> => {
    const outcome = await serveCheckIn(
      table,
      { caller: callerFor(device), message: message(now, more), receivedAt: now },
      { now: () => now, random: () => 0, ...gateMeans(directory, () => now) },
    );
    if ('refusal' in outcome) throw new Error(`refused: ${outcome.refusal}`);
    return outcome.reply.commands;
  };

  await createUnit(devices, siteId, unitId, 'T2', { spares: { [deviceClass]: unitOfPlay.keep } });
  const pumps: Device[] = [];
  for (let number = 0; number < unitOfPlay.devices; number += 1) {
    const pump = { ...infusionPump(`PLAY-${number}`), siteId, unitId, name: `Pump ${number}`, model: 'Infuse LV-8' };
    const device = await enrol(table, pump, at());
    pumps.push(device);
    await checkIn(device, said('idle', '9.4.0'));
  }

  const meter = new TableMeter(
    [
      {
        table,
        indexes: {
          bySite: {
            pk: 'gsi1pk',
            sk: 'gsi1sk',
            holds: ['platform', 'class', 'ownership', 'lifecycle', 'user', 'compliance'],
          },
          byRollout: { pk: 'gsi2pk', sk: 'gsi2sk' },
        },
      },
      { table: directory, indexes: { byKind: { pk: 'gsi1pk', sk: 'gsi1sk' } } },
    ],
    raw.client,
  );
  const steps = Object.fromEntries(playSteps.map((step) => [step, { read: 0, write: 0, index: 0 }])) as Record<
    PlayStep,
    { read: number; write: number; index: number }
  >;
  const largest = new Map<string, number>();
  const partitions = new Map<string, number>();
  const spent = (step: PlayStep | undefined): Units => {
    const units = meter.take();
    for (const [family, bytes] of units.largest) largest.set(family, Math.max(largest.get(family) ?? 0, bytes));
    if (step === undefined) return units;
    for (const unit of ['read', 'write', 'index'] as const) steps[step][unit] += units[unit] / pumps.length;
    for (const [partition, sum] of units.partitions) partitions.set(partition, (partitions.get(partition) ?? 0) + sum);
    return units;
  };
  const indexPartition = `byRollout ROLLOUT#${rolloutId}#${siteId}`;

  const plans = new PlanStore(memoryObjects());
  const engine = {
    devices: table,
    directory,
    interlock: defaultInterlock,
    wake: async () => true,
    answer: async () => 'told' as const,
    startMachine: async () => true,
  };
  const record = (action: string) =>
    auditRecord(
      rolloutPartition(rolloutId),
      { actor: 'user:ada', action, resource: `rollout/${rolloutId}`, outcome: 'allowed' },
      at(),
    );
  const current = async (): Promise<StoredRollout> => {
    const rollout = await getRollout({ ...directory, client: raw.client }, rolloutId);
    if (rollout === undefined) throw new Error('There is no rollout.');
    return rollout;
  };
  const change = async (event: RolloutEvent) => {
    const before = await current();
    const next = advanceRollout(before, event, before.version, now);
    if (!next.ok) throw new Error(next.reason);
    if (!(await saveRollout(directory, before, { ...next.value, ...planOf(before) }, [record(event.kind)])))
      throw new Error('The rollout was changed by somebody else.');
  };

  // Plan, approval, start.
  const draft = storedRollout(rolloutId, rolloutDefinition(), now);
  await createRollout(
    directory,
    { ...draft, plan: { state: 'planning', sites: 0, devices: 0, ineligible: 0 } },
    record('create'),
  );
  spent(undefined);
  const end = await runPlan(
    {
      directory,
      plans,
      devicesOf: ({ definition }) => candidateSource({ devices: table, directory }, definition),
      now: at,
      hasTime: () => true,
    },
    { rolloutId, version: draft.version },
  );
  if (end.outcome !== 'planned' || end.devices !== pumps.length) throw new Error(`The plan is ${end.outcome}.`);
  spent('plan');
  const { digest = '', version } = await current();
  const own = await listSiteSummaries(directory, rolloutId);
  await putSiteSummaries(directory, rolloutId, version, [...own, ...otherSites(scale)]);
  for (const { siteId: other } of otherSites(scale)) {
    await raw.client.send(new PutCommand({ TableName: directory.name, Item: otherTally(other) }));
    const since = at().toISOString();
    await putWait(directory, { rolloutId, siteId: other, step: 'monitor', wave: 4, token: 'x'.repeat(700), since });
  }
  await change({ kind: 'submit', by: 'user:ada', approveUntil: now + 60 * minute });
  await change({ kind: 'approve', by: 'user:bea', digest });
  await change({ kind: 'start' });
  const wave = (await current()).waves.findIndex((one) => !isPassed(one));

  let [checkIns, wakeUps, messages, batches, streamed] = [0, 0, 0, 0, 0];
  /** Does what stream, queue and functions do until nothing changes any more. */
  const settle = async () => {
    for (let changes = meter.changes(); changes.length > 0; changes = meter.changes()) {
      const told: RolloutChange[] = [];
      const fresh = changes.flatMap(({ kind, after }) =>
        kind === 'INSERT' && after !== undefined && String(after['sk']).startsWith(openPrefix)
          ? [commandOf(after)]
          : [],
      );
      for (const one of changes) {
        const handed = handOn(one);
        if (handed?.queue === HandOnQueue.Rollouts) told.push(handed.body as RolloutChange);
      }
      for (const batch of byDevice(fresh.filter(({ status }) => status === CommandStatus.Queued))) {
        const n = await wakeFor(table, batch, engine.wake, at());
        if (n === undefined) continue;
        wakeUps += 1;
        await wakeAgain(table, { deviceId: batch.deviceId, n, attempt: 0 }, async () => 'confirmed', at());
      }
      streamed += told.length + fresh.length;
      spent('wake-ups');
      for (let start = 0; start < told.length; start += messagesOfBatch) {
        const together = told.slice(start, start + messagesOfBatch);
        const batch = together.map((one, index): ChangeMessage => ({ id: String(index), change: one }));
        for (const error of (await applyChanges(engine, batch, at())).values()) throw error;
        messages += batch.length;
        batches += 1;
        spent('counted, judged, asked (rollout-progress)');
      }
    }
  };
  const come = async (device: Device, more: Partial<CheckInMessage>) => {
    checkIns += 1;
    const commands = await checkIn(device, more);
    spent('check-ins');
    return commands;
  };
  const look = async (): Promise<Units> => {
    const failed = await tick({ ...engine, plans, random: () => 1 }, at(), rolloutId);
    for (const error of failed.values()) throw error;
    return spent(undefined);
  };

  // Told to download.
  spent(undefined);
  meter.changes();
  const emptyLook = await look();
  const step = { rolloutId, siteId, wave: { index: wave, stage: 'dispatch', next: 0, again: -1 } } as const;
  const means = {
    ...{ ...engine, plans, now: at, hasTime: () => true, scheduleOnce: async () => {} },
    report: (problem: string, error: unknown) => {
      throw new Error(problem, { cause: error });
    },
  };
  await runStep(means, { step: 'dispatch', ...step });
  const dispatched = spent('told to download');
  await settle();

  for (const device of pumps) {
    const [download] = await come(device, { wake: 1 });
    if (download?.type !== 'download-update') throw new Error('There is nothing to download.');
    const detail = { sha256: draft.definition.artifact.sha256 };
    now += 1_000;
    await come(device, { results: [{ commandId: download.id, status: 'acknowledged', detail }] });
  }
  await settle();
  const readyLook = await look();

  // Activated, as the unit can spare them; some are in use when they are asked first.
  const busyOnce = new Set(pumps.filter((_, index) => index % inUseOnceIn === 0).map((device) => device.id));
  for (;;) {
    const executions = await Promise.all(
      pumps.map(async (device) => ({ device, execution: await getExecution(unmetered, device.id, 'firmware') })),
    );
    if (executions.every(({ execution }) => execution !== undefined && isFinal(execution))) break;
    const armed = executions.filter(({ execution }) => execution?.status.state === 'armed');
    if (armed.length === 0) {
      now += 6 * minute;
      await tick({ ...engine, plans, random: () => 0.5 }, at(), rolloutId);
      spent('asked again (rollout-tick)');
      // What a look reads is reckoned by the time that a rollout takes, not by its devices.
      steps['asked again (rollout-tick)'].read = 0;
    }
    for (const { device } of armed) {
      if (busyOnce.delete(device.id)) {
        await come(device, { ...said('in-use'), wake: 1 });
        continue;
      }
      const command = (await come(device, { ...said('idle'), wake: 1 })).find(({ type }) => type === 'activate-update');
      if (command === undefined) continue;
      now += 2 * minute;
      await come(device, { ...said('idle'), results: [{ commandId: command.id, status: 'acknowledged' }] });
      now += minute;
      await come(device, said('idle', String(command.parameters['version'])));
    }
    now += 30_000;
    await settle();
  }

  // One more unit in the wave shows what a unit adds to a look.
  const [first, ...others] = await listSiteSummaries(directory, rolloutId);
  const more = id('u', 999);
  await createUnit(devices, siteId, more, 'T2');
  // The first look judges and compares; those after it find nothing new, as most do.
  await look();
  const before = await look();
  if (first === undefined) throw new Error('The site has no plan.');
  const load = { wave, unitId: more, class: deviceClass, devices: 1, inUnit: 1 };
  await putSiteSummaries(directory, rolloutId, (await current()).version, [
    { ...first, units: [...first.units, load] },
    ...others,
  ]);
  spent(undefined);
  const quietUnit = (await look()).read - before.read;

  const perDevice = (sum: number) => sum / pumps.length;
  raw.client.destroy();
  const of = (partition: string) => partitions.get(partition) ?? 0;
  return {
    steps,
    checkIns: perDevice(checkIns),
    wakeUps: perDevice(wakeUps),
    messages: perDevice(messages),
    changes: perDevice(streamed),
    look: emptyLook.read - quietUnit,
    quietUnit,
    openUnit: Math.max(0, readyLook.read - emptyLook.read),
    largest,
    partitions: {
      indexToTell: perDevice(dispatched.partitions.get(indexPartition) ?? 0),
      index: perDevice(of(indexPartition)),
      rollout: of(rolloutPartition(rolloutId)) / batches,
      spares: perDevice(of(`SPARES#${siteId}#${unitId}`)),
    },
  };
}

const planOf = ({ createdAt, plan }: StoredRollout) => ({ createdAt, ...(plan === undefined ? {} : { plan }) });

/** What the plan comes to at the other sites, all in the last wave. */
function otherSites({ devices, sites }: RolloutScale): SiteSummary[] {
  const perSite = Math.ceil(devices / sites);
  const units = Math.ceil(perSite / unitOfPlay.devices);
  return Array.from({ length: sites - 1 }, (_, index): SiteSummary => {
    const other = id('s', index + 1);
    const digest = 'd'.repeat(64);
    return {
      siteId: other,
      digest,
      devices: [0, 0, 0, 0, perSite],
      units: Array.from({ length: units }, (_unit, number) => ({
        ...{
          wave: 4,
          unitId: id('u', number),
          class: deviceClass,
          devices: unitOfPlay.devices,
          inUnit: unitOfPlay.devices,
        },
      })),
      ineligible: Object.fromEntries(
        Object.values(Ineligibility).map((reason) => [reason, 0]),
      ) as SiteSummary['ineligible'],
      objectKey: planKey(rolloutId, other, digest),
    };
  });
}

/** The counts of another site in the midst of its wave. */
const otherTally = (other: string) => ({
  ...{ pk: rolloutPartition(rolloutId), sk: rolloutSortKeys.tally('forward', 4, other) },
  ...{ 'state:queued': 1_000, 'state:staged': 1_000, 'state:armed': 100, 'state:deferred': 1_000 },
  ...{ 'state:activating': 100, 'state:verifying': 10, 'state:succeeded': 1_000, 'state:failed': 10 },
  ...{ 'reason:in-use': 500, 'reason:unit-budget': 500, 'reason:offline': 100, 'reported:success': 1_000 },
  ...{ 'reported:failure': 10, 'silence:success': 1_000, 'silence:failure': 10 },
  ...{ 'stratum:hardware:A:success': 500, 'stratum:hardware:B:success': 500, 'stratum:hardware:B:failure': 10 },
  ...{ 'stratum:unit-type:T1:success': 500, 'stratum:unit-type:T2:success': 500, 'stratum:unit-type:T3:success': 10 },
});
