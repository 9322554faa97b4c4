import type { Table } from '../../aws/dynamodb.ts';
import { isContention } from '../../aws/errors.ts';
import type { StoredCommand } from '../../commands/command.ts';
import { Gate, type GateDecision, GateEffect, type GateInput, type RuleId } from '../../commands/gates/gate.ts';
import { changePart } from '../../commands/store.ts';
import type { Device } from '../../devices/device.ts';
import type { PlaceFacts } from '../../places/facts.ts';
import { DeferralReason } from '../executions/deferral.ts';
import { advance } from '../executions/execution.ts';
import { getExecution, type StoredExecution, saveExecution } from '../executions/execution-store.ts';
import { permitOf, type Rollout } from '../rollout.ts';
import { getRollout } from '../rollout-store.ts';
import { type Admission, type Admitted, admit, relook, unitBudget } from './admission.ts';
import { asked } from './admission-round.ts';
import { withinFencePart } from './fence-store.ts';
import { isGivenBack } from './given-back.ts';
import { type Away, countOfClass, type SparesPlace, settleAway, takeSparePart } from './spares-store.ts';

/** Both tables. */
export interface AdmissionTables {
  readonly devices: Table;
  readonly directory: Table;
}

/** A command that could be handed out in this very check-in, as far as the gates before say. */
export interface HandOut {
  /** As it is stored. */
  readonly command: StoredCommand;
  /** As the device describes itself in this check-in. */
  readonly device: Device;
  readonly place: PlaceFacts | undefined;
  /** How it is stored once it is handed out with this decision; the same object when it was handed out before. */
  readonly handedOut: (decision: GateDecision) => StoredCommand;
  /** Milliseconds, our clock. */
  readonly now: number;
}

/** The same of an activation, with what interlock and brake said a moment ago. */
export interface ActivationHandOut extends HandOut {
  readonly interlock: GateDecision;
  readonly brake: GateDecision;
}

/** What admission says of a command. */
export interface LetIn {
  readonly decision: GateDecision;
  /** The command as it was stored together with what it took; undefined when nothing was written. */
  readonly stored?: StoredCommand;
}

/** Tries of one admission: each that fails means that somebody else's went through in between. */
const mostTries = 4;

/**
 * The moment of truth of a rollout: whether this device may be activated now. Rollout, wave, spares and what this very
 * check-in says of the device's use are looked at together; then one transaction takes the spare, begins the activation
 * and hands the command over, or nothing of it happens: also when the rollout was paused in between. A device that was let
 * in and asks again gets it again. Where so many come at once that none gets through, it waits like any other: the rest of
 * its check-in is answered.
 *
 * Requests: the execution, the rollout, the unit's spares, how many devices the unit has, the transaction.
 */
export async function admitActivation(tables: AdmissionTables, handOut: ActivationHandOut): Promise<LetIn> {
  try {
    for (let tries = 0; tries < mostTries; tries += 1) {
      const answer = await tryToAdmit(tables, handOut);
      if (answer !== undefined) return answer;
    }
  } catch (error) {
    if (!isContention(error)) throw error;
  }
  return wait(handOut, DeferralReason.UnitBudget, 'Others are being let in at this moment.');
}

/** @returns undefined when somebody changed what it was decided on */
async function tryToAdmit(tables: AdmissionTables, handOut: ActivationHandOut): Promise<LetIn | undefined> {
  const { command, device, now } = handOut;
  const { rolloutId, kind } = command.parameters;
  const [execution, rollout] = await Promise.all([
    getExecution(tables.devices, device.id, String(kind)),
    getRollout(tables.directory, String(rolloutId)),
  ]);
  if (rollout === undefined || execution === undefined || !isFor(execution, command)) {
    return wait(handOut, DeferralReason.Wave, 'The rollout is not waiting for this device.');
  }
  const about = aboutOf(rollout, execution);
  if (execution.status.state === 'activating') {
    if (wasGivenBack(execution, command)) {
      return wait(handOut, DeferralReason.Wave, 'It was given back a moment ago; its turn is decided anew.', about);
    }
    // The reply with it was lost, or the device broke off. It is out of service already.
    return { decision: allow(handOut, 'It was let in before and has not answered.', about) };
  }
  const place = placeOf(execution, device);
  if (place === undefined) {
    return wait(
      handOut,
      DeferralReason.Wave,
      'It stands in another unit, or is of another class, than it was planned with.',
      about,
    );
  }
  const { admission, budget, taker } = await ask(tables, handOut, rollout, execution, place);
  if (taker !== undefined) {
    return wait(handOut, DeferralReason.UnitBudget, `It is out of service for ${taker}.`, about);
  }
  if (!admission.admitted) {
    const { reason, words, until } = admission;
    return wait(handOut, reason, words, about, until);
  }
  const after = activated(execution, admission, now);
  if (after === undefined) {
    return wait(handOut, DeferralReason.Wave, `It is not its turn: it is ${execution.status.state}.`, about);
  }
  const decision = allow(handOut, 'Its unit can spare it now.', [
    { signal: 'out of service', value: admission.outOfService, source: 'directory' },
    { signal: 'can spare', value: admission.budget, source: 'directory' },
    ...about,
  ]);
  const stored = handOut.handedOut(decision);
  const parts = [
    withinFencePart(tables.directory, rollout.id, place, rollout.version),
    takeSparePart(tables.directory, place, device.id, `rollout ${rollout.id}`, budget, new Date(now)),
    ...(stored === command ? [] : [changePart(tables.devices, command, stored)]),
  ];
  return (await saveExecution(tables.devices, execution, after, parts)) ? { decision, stored } : undefined;
}

/** Whether the command is one of this execution. */
const isFor = ({ rolloutId, direction }: StoredExecution, { parameters }: StoredCommand): boolean =>
  rolloutId === parameters['rolloutId'] && direction === (parameters['back'] === true ? 'back' : 'forward');

/** Whether it was given back after it was let in, and nobody has noted that yet. */
const wasGivenBack = ({ since }: StoredExecution, { history }: StoredCommand): boolean =>
  history.some((change) => isGivenBack(change, since));

/** Whose spares it takes: those that its plan was reckoned with, and that it gives back, if it still stands there. */
function placeOf({ siteId, unitId, class: deviceClass }: StoredExecution, device: Device): SparesPlace | undefined {
  const stands = device.siteId === siteId && device.unitId === unitId && device.class === deviceClass;
  return stands ? { siteId, unitId, class: deviceClass } : undefined;
}

async function ask(
  { devices, directory }: AdmissionTables,
  { device, place, interlock, brake, now }: ActivationHandOut,
  rollout: Rollout,
  execution: StoredExecution,
  where: SparesPlace,
): Promise<{ readonly admission: Admission; readonly budget: number; readonly taker?: string }> {
  const permit = permitOf(rollout, execution);
  const question = {
    deviceId: device.id,
    permit,
    brake,
    interlock,
    // The interlock has just looked at the window; a device that somebody took out of use to work on it waits for none.
    window: { open: true } as const,
    now,
  };
  if (!permit.allowed) return { admission: admit({ ...question, budget: 0, outOfService: 0 }), budget: 0 };
  const [away, count] = await Promise.all([settleAway(directory, where, new Date(now)), countOfClass(devices, where)]);
  const budget = unitBudget({ devices: count, keep: place?.spares?.[device.class] });
  // What is away already takes nobody's place a second time.
  const isAway = Object.hasOwn(away, device.id);
  const taker = await otherTaker(directory, rollout, away[device.id]);
  const spares = isAway
    ? { budget: Math.max(1, budget), outOfService: 0 }
    : { budget, outOfService: Object.keys(away).length };
  return { admission: admit({ ...question, ...spares }), budget, ...(taker === undefined ? {} : { taker }) };
}

/**
 * The rollout of another kind of artifact that has taken the device out of service, if one has. A device is not activated
 * twice at a time, and what that one took it gives back itself. One of the same kind has ended with it (I1).
 */
async function otherTaker(directory: Table, rollout: Rollout, away: Away | undefined): Promise<string | undefined> {
  const [what, id = ''] = away?.by.split(' ') ?? [];
  if (what !== 'rollout' || id === rollout.id) return undefined;
  const other = await getRollout(directory, id);
  return other?.definition.artifact.kind === rollout.definition.artifact.kind ? undefined : away?.by;
}

/** The execution once its device is activated; undefined when it is in no state from which that leads on. */
function activated(execution: StoredExecution, admission: Admitted, now: number): StoredExecution | undefined {
  const armed = asked(execution, now);
  if (!armed.ok) return undefined;
  const after = advance(armed.value, { kind: 'activate', admission }, armed.value.version, now);
  return after.ok ? (after.value as StoredExecution) : undefined;
}

const aboutOf = ({ id, version }: Rollout, { wave }: StoredExecution): readonly GateInput[] => [
  { signal: 'rollout', value: id, source: 'directory' },
  { signal: 'rollout version', value: version, source: 'directory' },
  { signal: 'wave', value: wave, source: 'directory' },
];

function allow({ now }: HandOut, reason: string, inputs: readonly GateInput[]): GateDecision {
  return { gate: Gate.Admission, at: isoOf(now), effect: GateEffect.Allow, ruleId: 'R8', reason, inputs };
}

/** The rule behind each reason to wait (docs/safety.md). */
const rules: Readonly<Record<DeferralReason, RuleId>> = {
  [DeferralReason.InUse]: 'R11',
  [DeferralReason.Acceptance]: 'R7',
  [DeferralReason.UnitBudget]: 'R8',
  [DeferralReason.Window]: 'R9',
  [DeferralReason.Battery]: 'R11',
  [DeferralReason.Offline]: 'R10',
  [DeferralReason.Brake]: 'R4',
  [DeferralReason.Paused]: 'R10',
  [DeferralReason.Wave]: 'R10',
};

function wait(
  { now }: HandOut,
  reason: DeferralReason,
  words: string,
  inputs: readonly GateInput[] = [],
  until = now + relook,
): LetIn {
  const decision: GateDecision = {
    gate: Gate.Admission,
    at: isoOf(now),
    effect: GateEffect.Defer,
    ruleId: rules[reason],
    reason: words,
    inputs: [{ signal: 'waits for', value: reason, source: 'wardline' }, ...inputs],
    until: isoOf(until),
  };
  return { decision };
}

const isoOf = (time: number): string => new Date(time).toISOString();
