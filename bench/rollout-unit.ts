import { Gate, type GateDecision, GateEffect } from '../shared/commands/gates/gate.ts';
import { DeviceClass } from '../shared/devices/device.ts';
import { type Calendar, nextOpening, type Span } from '../shared/places/windows.ts';
import { admit, unitBudget } from '../shared/rollouts/admission/admission.ts';
import { asked, lateOf, offerHolds, offlineRelook, roundOf } from '../shared/rollouts/admission/admission-round.ts';
import { advance, type Execution, type ExecutionEvent, isFinal } from '../shared/rollouts/executions/execution.ts';
import { groupOf } from '../shared/rollouts/keys.ts';
import { permitOf, type Rollout } from '../shared/rollouts/rollout.ts';
import { Agenda } from '../test/support/agenda.ts';

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** What a batch of the queue takes: what changes in it leads to one round. */
const batch = 30 * second;

/** How long a device is out of service, milliseconds: at least, and how much more at most. */
export const installs = { least: 5 * minute, more: 10 * minute };

/** Of a hundred devices that are asked: how many are in use, do not come, and break. */
const [inUse, absent, broken] = [30, 2, 0.3];

/** A unit whose devices are let in. */
export interface UnitToAdmit {
  readonly siteId: string;
  readonly unitId: string;
  readonly calendar: Calendar;
  readonly ids: readonly string[];
  /** How many must stay. */
  readonly keep: number;
  readonly stratum: string;
}

/** What became of a unit. */
export interface UnitAdmitted {
  readonly executions: readonly Execution[];
  /** When the last device came to its end, milliseconds since the epoch. */
  readonly end: number;
  readonly rounds: number;
  readonly admissions: number;
  /** Most devices that were out of service at once. */
  readonly mostAway: number;
}

interface Ranked extends Execution {
  readonly rank: number;
}

/**
 * The devices of one unit and one wave, from the word to download to their end, by the rules that the functions go by:
 * rounds ask, devices come or do not, each is admitted by itself. On a clock of its own.
 *
 * @throws Error when a device is let in that must not be, or does not come to its end
 */
export function admitUnit(
  rollout: Rollout,
  wave: number,
  unit: UnitToAdmit,
  begin: number,
  random: () => number,
): UnitAdmitted {
  const agenda = new Agenda();
  const away = new Set<string>();
  const budget = unitBudget({ devices: unit.ids.length, keep: unit.keep });
  let [now, end, rounds, admissions, mostAway] = [begin, begin, 0, 0, 0];
  let roundAt: number | undefined;
  let window: Span | undefined;

  const executions = unit.ids.map((deviceId, rank): Ranked => {
    const { siteId, unitId } = unit;
    const at = new Date(begin).toISOString();
    return {
      ...{ rolloutId: rollout.id, deviceId, siteId, unitId, class: DeviceClass.InfusionPump, artifactKind: 'firmware' },
      ...{ sha256: rollout.definition.artifact.sha256, wave, direction: 'forward', status: { state: 'queued' } },
      ...{ dispatchedAt: at, since: at, outOfService: false, version: 1, rank },
    };
  });

  const at = (rank: number): Ranked => {
    const execution = executions[rank];
    if (execution === undefined) throw new Error(`There is no device ${rank}.`);
    return execution;
  };
  const happens = (rank: number, event: ExecutionEvent): Ranked => {
    const before = at(rank);
    const outcome = advance(before, event, before.version, now);
    if (!outcome.ok) throw new Error(outcome.reason);
    const after = outcome.value as Ranked;
    executions[rank] = after;
    if (!after.outOfService) away.delete(after.deviceId);
    return after;
  };
  const later = (milliseconds: number, run: () => void) => agenda.push({ at: now + milliseconds, run });
  const somethingChanged = () => {
    if (roundAt !== undefined && roundAt <= now + batch) return;
    roundAt = now + batch;
    later(batch, round);
  };
  const opening = (): Span => {
    if (window === undefined || window.to <= now) window = nextOpening(unit.calendar, now);
    if (window === undefined) throw new Error(`Unit ${unit.unitId} never opens.`);
    return window;
  };
  const wait = (rank: number, event: Extract<ExecutionEvent, { kind: 'defer' }>) => {
    happens(rank, event);
    later(event.until - now, somethingChanged);
  };

  function round(): void {
    if (roundAt !== now) return;
    roundAt = undefined;
    const { from } = opening();
    if (from > now) {
      roundAt = from;
      later(from - now, round);
      return;
    }
    rounds += 1;
    const isReady = ({ status }: Ranked) => groupOf(status) === 'R';
    for (const { rank } of lateOf(executions.filter(isReady), now)) {
      wait(rank, { kind: 'defer', reason: 'offline', until: now + offlineRelook });
    }
    const { free, candidates } = roundOf({
      ready: executions.filter(isReady),
      permitOf: (execution) => permitOf(rollout, execution),
      ...{ open: true, budget, away, now },
    });
    for (const execution of candidates.slice(0, free)) {
      const armed = asked(execution, now);
      if (!armed.ok) throw new Error(armed.reason);
      executions[execution.rank] = armed.value;
      if (random() * 100 < absent) later(offerHolds, somethingChanged);
      else later(5 * second + random() * 25 * second, () => come(execution.rank));
    }
  }

  function come(rank: number): void {
    const execution = at(rank);
    if (execution.status.state !== 'armed') return;
    const span = opening();
    const busy = random() * 100 < inUse;
    const admission = admit({
      deviceId: execution.deviceId,
      permit: permitOf(rollout, execution),
      budget,
      outOfService: away.size,
      window: span.from <= now ? { open: true } : { open: false, opensAt: span.from },
      brake: decision(Gate.Brake, true),
      interlock: decision(Gate.Interlock, !busy),
      now,
    });
    if (!admission.admitted) {
      wait(rank, { kind: 'defer', reason: admission.reason, until: admission.until });
      somethingChanged();
      return;
    }
    if (busy || span.from > now || away.size >= budget) throw new Error(`${execution.deviceId} must not be let in.`);
    happens(rank, { kind: 'activate', admission });
    away.add(execution.deviceId);
    admissions += 1;
    mostAway = Math.max(mostAway, away.size);
    later(installs.least + random() * installs.more, () => {
      happens(rank, { kind: 'installed' });
      later(minute, () => finish(rank));
    });
  }

  function finish(rank: number): void {
    const breaks = random() * 100 < broken;
    happens(rank, breaks ? { kind: 'failed', class: 'self-test' } : { kind: 'verified' });
    end = Math.max(end, now);
    somethingChanged();
    if (!breaks) return;
    later(4 * hour, () => {
      happens(rank, { kind: 'returned' });
      somethingChanged();
    });
  }

  function decision(gate: Gate, yes: boolean): GateDecision {
    const common = { gate, at: new Date(now).toISOString(), ruleId: 'R1', reason: 'As reported.', inputs: [] } as const;
    if (yes) return { ...common, effect: GateEffect.Allow };
    return { ...common, effect: GateEffect.Defer, until: new Date(now + 30 * minute).toISOString() };
  }

  for (const { rank, sha256 } of executions) {
    later(random() * 2 * hour, () => {
      happens(rank, { kind: 'staged', sha256 });
      somethingChanged();
    });
  }
  for (let next = agenda.pop(); next !== undefined; next = agenda.pop()) {
    now = next.at;
    next.run();
  }
  const left = executions.find((execution) => !isFinal(execution) || execution.outOfService);
  if (left !== undefined) throw new Error(`${left.deviceId} is ${left.status.state} for ever.`);
  return { executions, end, rounds, admissions, mostAway };
}
