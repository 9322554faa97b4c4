import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { type CommandStatus, CommandType, type StoredCommand } from '../commands/command.ts';
import { Gate, type GateDecision, GateEffect, type GateInput } from '../commands/gates/gate.ts';
import { changePart } from '../commands/store.ts';
import { Disruption, disruptionOf, isPersonal } from '../interlock/disruption.ts';
import { relook, unitBudget } from '../rollouts/admission/admission.ts';
import type { AdmissionTables, HandOut, LetIn } from '../rollouts/admission/admit-activation.ts';
import {
  type Away,
  countOfClass,
  endLease,
  readAway,
  type SparesPlace,
  settleAway,
  takeSparePart,
} from '../rollouts/admission/spares-store.ts';
import { getExecution } from '../rollouts/executions/execution-store.ts';
import { getRollout } from '../rollouts/rollout-store.ts';
import type { Device, DeviceId } from './device.ts';
import { transact } from './store.ts';

const hour = 3_600_000;

/**
 * How long a single command keeps a device out of service at most, milliseconds: a restart is over in minutes, an
 * installation or a device that must be set up anew takes until the next day. Then the device counts as there again,
 * unless it said so before.
 */
const leases: Partial<Record<CommandType, number>> = {
  [CommandType.Restart]: 2 * hour,
  [CommandType.Lock]: 24 * hour,
  [CommandType.InstallUpdate]: 24 * hour,
  [CommandType.Wipe]: 24 * hour,
};

/** What the device says, or is seen to do, once it is back. One that is locked with a PIN is not back by being locked. */
const backWith: Partial<Record<CommandType, ReadonlySet<CommandStatus>>> = {
  [CommandType.Restart]: new Set(['acknowledged', 'verified', 'failed', 'deferred']),
  [CommandType.Lock]: new Set(['failed', 'deferred']),
  [CommandType.InstallUpdate]: new Set(['acknowledged', 'verified', 'failed', 'deferred']),
  [CommandType.Wipe]: new Set(['verified', 'failed', 'deferred']),
};

/** Whether a single command takes the device away from whoever uses it. */
export function takesAway(command: StoredCommand, { class: deviceClass }: Pick<Device, 'class'>): boolean {
  if (leases[command.type] === undefined) return false;
  const disruption = disruptionOf(command, deviceClass);
  return disruption !== undefined && disruption !== Disruption.HidesScreen;
}

/**
 * Whether that takes one of the unit's spares (rule R8): where a patient may be connected, and the unit says how many of the
 * class it needs. Phones, tablets and workstations are carried away anyway.
 */
export const takesSpare = (command: StoredCommand, { device, place }: Pick<HandOut, 'device' | 'place'>): boolean =>
  takesAway(command, device) && !isPersonal(device.class) && place?.spares?.[device.class] !== undefined;

/**
 * Holds back a single command for a device that a rollout is updating at this moment, where it takes no spare; undefined
 * when it may go. An emergency (break-glass) does not wait. Request: the unit's spares.
 */
export async function holdWhileUpdating(tables: AdmissionTables, handOut: HandOut): Promise<LetIn | undefined> {
  const { command, device, now } = handOut;
  const { siteId, unitId, class: deviceClass } = device;
  if (siteId === undefined || unitId === undefined || command.breakGlass !== undefined) return undefined;
  const own = (await readAway(tables.directory, { siteId, unitId, class: deviceClass }, new Date(now)))[device.id];
  const updater = await updaterOf(tables, device.id, own);
  if (updater === undefined) return undefined;
  return { decision: hold(handOut, `It is being updated by ${updater}.`, [], now + relook) };
}

/** Tries of one taking: each that fails means that somebody else took a spare in between. */
const mostTries = 4;

/**
 * Takes one of the unit's spares for a single command and hands it over, in one transaction; or says that the unit can
 * spare none (rule R8). In an emergency (break-glass) the spare is counted, but nothing waits for it.
 *
 * Requests: the unit's spares, how many devices the unit has, the transaction.
 */
export async function leaseSpare(tables: AdmissionTables, handOut: HandOut): Promise<LetIn> {
  const { siteId, unitId, class: deviceClass } = handOut.device;
  if (siteId === undefined || unitId === undefined) {
    throw new Error('Only a unit has spares, and the device is in none.');
  }
  const place = { siteId, unitId, class: deviceClass };
  for (let tries = 0; tries < mostTries; tries += 1) {
    const answer = await tryToLease(tables, handOut, place);
    if (answer !== undefined) return answer;
  }
  return { decision: hold(handOut, 'Others are being let in at this moment.', [], relookAfter(handOut.now, [])) };
}

/** @returns undefined when somebody changed what it was decided on */
async function tryToLease(
  { devices, directory }: AdmissionTables,
  handOut: HandOut,
  where: SparesPlace,
): Promise<LetIn | undefined> {
  const { command, device, place, now } = handOut;
  const at = new Date(now);
  const [away, count] = await Promise.all([settleAway(directory, where, at), countOfClass(devices, where)]);
  const by = takerOf(command);
  const own = away[device.id];
  const others = Object.entries(away).filter(([id]) => id !== device.id);
  const budget = unitBudget({ devices: count, keep: place?.spares?.[device.class] });
  const inputs = [
    { signal: 'out of service', value: others.length, source: 'directory' },
    { signal: 'can spare', value: budget, source: 'directory' },
  ];
  const emergency = command.breakGlass !== undefined;
  // A rollout's device stays the rollout's: it is away until that sees it work. Half an update is worse than either version.
  const updater = emergency ? undefined : await updaterOf({ devices, directory }, device.id, own);
  if (updater !== undefined) {
    return { decision: hold(handOut, `It is being updated by ${updater}.`, inputs, now + relook) };
  }
  if (own !== undefined && (own.by === by || own.until === undefined)) {
    return { decision: pass(handOut, 'It is out of service already.', inputs) };
  }
  if (!emergency && own === undefined && others.length >= budget) {
    const words =
      budget > 0
        ? `${others.length} of its class are out of service in the unit, which can spare ${budget}.`
        : 'The unit can spare no device of its class.';
    return {
      decision: hold(
        handOut,
        words,
        inputs,
        relookAfter(
          now,
          others.map(([, taken]) => taken),
        ),
      ),
    };
  }
  const decision = pass(
    handOut,
    emergency ? 'An emergency does not wait for a spare.' : 'Its unit can spare it now.',
    inputs,
  );
  const stored = handOut.handedOut(decision);
  const until = new Date(now + (leases[command.type] ?? 0));
  const most = emergency ? Number.MAX_SAFE_INTEGER : budget;
  const parts = [
    takeSparePart(directory, where, device.id, by, most, at, until),
    ...(stored === command ? [] : [changePart(devices, command, stored)]),
  ];
  try {
    await retryContention(() => transact(devices, parts));
    return { decision, stored };
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return undefined;
    throw error;
  }
}

/** The rollout that has taken the device and is updating it now, if one is. One that gave it up leaves it to whoever helps. */
async function updaterOf(
  { devices, directory }: AdmissionTables,
  deviceId: DeviceId,
  own: Away | undefined,
): Promise<string | undefined> {
  // What a single command took comes back by a time.
  if (own === undefined || own.until !== undefined) return undefined;
  const rollout = await getRollout(directory, own.by.replace('rollout ', ''));
  if (rollout === undefined) return undefined;
  const execution = await getExecution(devices, deviceId, rollout.definition.artifact.kind);
  const state = execution?.rolloutId === rollout.id ? execution.status.state : undefined;
  return state === 'activating' || state === 'verifying' ? own.by : undefined;
}

/** When the first of those that are away must be back, or earlier. */
function relookAfter(now: number, away: readonly Away[]): number {
  const ends = away.flatMap(({ until }) => (until === undefined ? [] : [Date.parse(until)]));
  return Math.max(now + 1_000, Math.min(now + relook, ...ends));
}

/** Whether the command took a spare and the device has come back with this change. */
export function gaveBack(before: StoredCommand, after: StoredCommand): boolean {
  const back = backWith[after.type];
  if (back === undefined || back.has(before.status) || !back.has(after.status)) return false;
  return (before.decisions ?? []).some(({ gate, effect }) => gate === Gate.Admission && effect === GateEffect.Allow);
}

/** Gives back what the command took. A device that was moved meanwhile counts at its old place until the lease is over. */
export async function returnSpare(directory: Table, device: Device, command: StoredCommand): Promise<void> {
  const { siteId, unitId, class: deviceClass } = device;
  if (siteId === undefined || unitId === undefined) return;
  await endLease(directory, { siteId, unitId, class: deviceClass }, device.id, takerOf(command));
}

const takerOf = ({ id }: StoredCommand): string => `command ${id}`;

const pass = ({ now }: HandOut, reason: string, inputs: readonly GateInput[]): GateDecision => ({
  gate: Gate.Admission,
  at: new Date(now).toISOString(),
  effect: GateEffect.Allow,
  ruleId: 'R8',
  reason,
  inputs,
});

const hold = (handOut: HandOut, reason: string, inputs: readonly GateInput[], until: number): GateDecision => ({
  ...pass(handOut, reason, inputs),
  effect: GateEffect.Defer,
  until: new Date(until).toISOString(),
});
