import type { Device } from '../../devices/device.ts';
import type { WritePart } from '../../devices/store.ts';
import { type FieldError, ProblemError } from '../../http/problem.ts';
import type { CommandRequest } from '../types.ts';
import { Gate, type GateDecision, GateEffect } from './gate.ts';

/** What a gate is asked: a command that somebody wants for a device, before it is stored. */
export interface GateQuestion {
  readonly device: Device;
  readonly request: CommandRequest;
  /** `user:<sub>` */
  readonly requestedBy: string;
  readonly now: Date;
}

/** A gate's decision, and what must be written in the same transaction as the command for the decision to hold. */
export interface GateAnswer {
  readonly decision: GateDecision;
  readonly parts?: readonly WritePart[];
}

/** One gate. Asked anew on each try, so that it decides on what is there at that moment. */
export type GateFor<Question> = (question: Question) => Promise<GateAnswer>;

/** One gate of commands. */
export type CommandGate = GateFor<GateQuestion>;

/** What the gates let through: all decisions in their order, and what goes into the command's transaction. */
export interface Passage {
  readonly decisions: readonly GateDecision[];
  readonly parts: readonly WritePart[];
}

/** A gate said no, so nothing was stored. Carries everything that the gates before it decided, for the audit trail. */
export class GateRefusal extends ProblemError {
  readonly decisions: readonly GateDecision[];

  constructor(decisions: readonly GateDecision[], deciding: GateDecision, errors: readonly FieldError[] = []) {
    const { gate, ruleId, reason, inputs, until } = deciding;
    super({
      type: '/problems/refused-by-gate',
      title: 'Refused by a safety rule',
      status: 409,
      detail: reason,
      gate,
      ruleId,
      inputs,
      ...(until === undefined ? {} : { until }),
      ...(errors.length === 0 ? {} : { errors }),
    });
    this.name = 'GateRefusal';
    this.decisions = decisions;
  }

  /** The decision that refused. */
  get deciding(): GateDecision | undefined {
    return this.decisions.at(-1);
  }
}

/**
 * Asks the gates one after the other. The first that says `deny`, or that needs a second person, ends it; `defer` lets
 * the command be stored, but not handed out.
 *
 * @throws GateRefusal
 */
export async function passGates<Question>(gates: readonly GateFor<Question>[], question: Question): Promise<Passage> {
  const decisions: GateDecision[] = [];
  const parts: WritePart[] = [];
  for (const gate of gates) {
    const answer = await gate(question);
    decisions.push(answer.decision);
    const { effect } = answer.decision;
    if (effect === GateEffect.Deny || effect === GateEffect.Approval) throw new GateRefusal(decisions, answer.decision);
    parts.push(...(answer.parts ?? []));
  }
  return { decisions, parts };
}

/** What the caller of the writer was permitted, and where. */
export interface Permit {
  readonly policyIds?: readonly string[];
  /** The site that the device stood at when it was permitted; missing where that did not matter. */
  readonly siteId?: string;
}

/**
 * The first gate's decision: that the policies permit it was found out before the writer was called, for a device of that
 * site. One that was moved to another site since is somebody else's to decide on.
 */
export function authorized(
  { policyIds = [], siteId }: Permit,
  device: Pick<Device, 'siteId'>,
  requestedBy: string,
  now: Date,
): GateDecision {
  const at = now.toISOString();
  const policies = { signal: 'policies', value: policyIds.join(' '), source: requestedBy, at, ageSeconds: 0 };
  const common = { gate: Gate.Authorization, at, ruleId: 'R2' } as const;
  if (siteId === undefined || siteId === device.siteId) {
    return { ...common, effect: GateEffect.Allow, reason: 'The authorization policies permit it.', inputs: [policies] };
  }
  const moved = { signal: 'site', value: device.siteId ?? 'none', source: 'directory', at };
  const reason = `The device was moved from site ${siteId} since this was permitted. Ask again.`;
  return { ...common, effect: GateEffect.Deny, reason, inputs: [moved, policies] };
}

/** The same for what a rollout queues: nobody was permitted this command; people were permitted to make and approve the rollout. */
export const authorizedByRollout = (rolloutId: string, requestedBy: string, now: Date): GateDecision => ({
  gate: Gate.Authorization,
  at: now.toISOString(),
  effect: GateEffect.Allow,
  ruleId: 'R2',
  reason: 'A rollout asks for it, and its approval decides.',
  inputs: [{ signal: 'rollout', value: rolloutId, source: requestedBy, at: now.toISOString(), ageSeconds: 0 }],
});

/**
 * The decision that holds a command back the longest, if any does.
 */
export function deferralOf(decisions: readonly GateDecision[]): GateDecision | undefined {
  return decisions
    .filter((decision) => decision.effect === GateEffect.Defer)
    .sort((a, b) => ((a.until ?? '') < (b.until ?? '') ? 1 : -1))
    .at(0);
}
