import { Gate, type GateDecision, GateEffect } from '../../../../shared/commands/gates/gate.ts';
import { DeviceClass } from '../../../../shared/devices/device.ts';
import { weekdays } from '../../../../shared/places/calendar.ts';
import { type Calendar, nextOpening, type Span } from '../../../../shared/places/windows.ts';
import { admit, unitBudget } from '../../../../shared/rollouts/admission/admission.ts';
import {
  advance,
  deadlineOf,
  defaultLimits,
  type Execution,
  type ExecutionEvent,
  evidenceOf,
  isFinal,
} from '../../../../shared/rollouts/executions/execution.ts';
import { bakeEnd } from '../../../../shared/rollouts/gate/bake.ts';
import { judge } from '../../../../shared/rollouts/gate/gate.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import { lotOf } from '../../../../shared/rollouts/plan/order.ts';
import { type PlannedDevice, planDigest, planSites } from '../../../../shared/rollouts/plan/plan.ts';
import type { Candidate } from '../../../../shared/rollouts/plan/selection.ts';
import {
  advanceRollout,
  draftRollout,
  permitOf,
  type Rollout,
  type RolloutDefinition,
  type RolloutEvent,
} from '../../../../shared/rollouts/rollout.ts';
import { Agenda } from '../../../support/agenda.ts';

export const minute = 60_000;
export const hour = 60 * minute;
const day = 24 * hour;
const zones = ['America/New_York', 'America/Phoenix', 'Asia/Kolkata', 'Australia/Adelaide', 'America/Chicago'];
const [sites, unitsOfSite, devicesOfUnit, keep] = [20, 10, 50, 46];

/** Night, over the hours at which clocks change. */
const night = [{ days: [...weekdays], from: '22:00', to: '06:45' }];
const shiftChanges = [
  { name: 'morning', days: [...weekdays], from: '06:30', to: '07:30' },
  { name: 'evening', days: [...weekdays], from: '18:30', to: '19:30' },
];
const calendars = zones.map((zone): Calendar => ({ windows: night, blackouts: shiftChanges, freezes: [], zone }));

/** The zone of a unit, by the number in its id. */
export const zoneOf = (unitId: string): string =>
  zones[Math.floor(Number(unitId.slice(2)) / unitsOfSite) % zones.length] ?? '';

/** What is looked at from outside whenever something happens. */
export interface Watch {
  /** An execution changed. */
  changed(before: Execution, after: Execution, now: number): void;
  /** The device was let in; this is what was known of its use, and when. */
  activated(
    execution: Execution,
    rollout: Rollout,
    report: { readonly inUse: boolean; readonly at: number },
    now: number,
  ): void;
  rolloutChanged(before: Rollout, after: Rollout, now: number): void;
}

/** What the artifact does to devices. */
export interface Fate {
  readonly failed: number;
  readonly silent: number;
}

/**
 * A network of 10,000 pumps in 20 sites that goes through a rollout on a clock of its own: pumps are in use, offline,
 * fail or fall silent; their messages come late, twice and out of order; units are closed by day.
 */
export class World {
  readonly devices: readonly Candidate[];
  readonly executions = new Map<string, Execution>();
  /** Devices of a unit that are really away. */
  readonly away = new Map<string, Set<string>>();
  rollout: Rollout;
  now: number;
  readonly #agenda = new Agenda();
  readonly #plan: PlannedDevice[][] = [];
  readonly #placed = new Map<string, Pick<Execution, 'siteId' | 'unitId' | 'wave'>>();
  readonly #watch: Watch;
  readonly #fate: Fate;
  readonly #random: () => number;
  readonly #windows = new Map<string, Span | undefined>();
  readonly #outOfService = new Map<string, number>();
  readonly #inFlight = new Set<string>();
  readonly #tallies = defaultWaves([]).map(() => ({ success: 0, failure: 0, silent: 0, waiting: 0 }));
  #opened = 0;

  constructor(start: number, fate: Fate, random: () => number, watch: Watch) {
    this.now = start;
    this.#fate = fate;
    this.#random = random;
    this.#watch = watch;
    this.devices = Array.from({ length: sites * unitsOfSite * devicesOfUnit }, (_, number): Candidate => {
      const unit = Math.floor(number / devicesOfUnit);
      return {
        ...{ id: `d-${number}`, enrolled: true, siteId: `s-${Math.floor(unit / unitsOfSite)}`, unitId: `u-${unit}` },
        ...{ unitType: `T${1 + (unit % 3)}`, class: DeviceClass.InfusionPump, version: '4.1' },
        hardwareRevision: number % 7 === 0 ? 'B' : 'A',
      };
    });
    const definition: RolloutDefinition = {
      ...{ name: 'Firmware 5', waves: defaultWaves(['u-0']), selection: {}, order: 'pilot-first', onStop: 'pause' },
      ...{ wayBack: 'Second area.', soakHours: 24 },
      artifact: { kind: 'firmware', name: 'pump-os', version: '5.0', sha256: 'a'.repeat(64), signature: 'c2ln' },
    };
    this.rollout = draftRollout('r-sim', definition, 'user:ada', start);
  }

  /** Plans, has it approved, and starts it. */
  async begin(): Promise<void> {
    const { definition, id: rolloutId } = this.rollout;
    const { selection, waves, order, artifact } = definition;
    const digests: { siteId: string; digest: string }[] = [];
    const request = { rolloutId, selection, waves, order, target: artifact.version };
    for await (const plan of planSites(request, () => this.devices)) {
      digests.push(plan);
      for (const [wave, members] of plan.waves.entries()) {
        this.#plan[wave] = [...(this.#plan[wave] ?? []), ...members];
        for (const { id, unitId } of members) this.#placed.set(id, { siteId: plan.siteId, unitId, wave });
      }
    }
    const digest = planDigest(digests);
    this.apply({ kind: 'planned', digest, devices: this.#plan.map(({ length }) => length) });
    this.apply({ kind: 'submit', by: 'user:ada', approveUntil: this.now + hour });
    this.apply({ kind: 'approve', by: 'user:bea', digest });
    for (const { id } of this.devices) this.#add(id);
    this.apply({ kind: 'start' });
    this.#tick();
  }

  /** Lets time pass, at most until then. */
  run(until: number): void {
    for (let next = this.#agenda.pop(); next !== undefined; next = this.#agenda.pop()) {
      if (next.at > until) {
        this.#agenda.push(next);
        break;
      }
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  /** Something happens to the rollout; whether it was taken. */
  apply(event: RolloutEvent): boolean {
    const before = this.rollout;
    const outcome = advanceRollout(before, event, before.version, this.now);
    if (!outcome.ok) return false;
    this.rollout = outcome.value;
    this.#watch.rolloutChanged(before, outcome.value, this.now);
    return true;
  }

  /** Withdraws what has not begun, as an abort does. */
  withdraw(): void {
    for (const id of this.executions.keys()) this.#happens(id, { kind: 'cancel', reason: 'aborted' });
  }

  /** Whether the pump is truly in use: by lot for each half hour, more by day. */
  inUse(deviceId: string, at: number): boolean {
    const slot = Math.floor(at / (30 * minute));
    return ((lotOf(deviceId, '') % 9_973) * 31 + slot * 7_919) % 100 < 40;
  }

  #add(deviceId: string): void {
    const placed = this.#placed.get(deviceId);
    if (placed === undefined) return;
    const tally = this.#tallies[placed.wave];
    if (tally !== undefined) tally.waiting += 1;
    this.executions.set(deviceId, {
      ...{ rolloutId: this.rollout.id, deviceId, ...placed, class: DeviceClass.InfusionPump, artifactKind: 'firmware' },
      ...{ sha256: this.rollout.definition.artifact.sha256, direction: 'forward', status: { state: 'planned' } },
      ...{ since: new Date(this.now).toISOString(), outOfService: false, version: 1 },
    });
  }

  #in(milliseconds: number, run: () => void): void {
    this.#agenda.push({ at: this.now + milliseconds, run });
  }

  /** A message arrives late, sometimes twice; so also out of order. */
  #send(run: () => void): void {
    this.#in(this.#random() * 5 * minute, run);
    if (this.#random() < 0.2) this.#in(this.#random() * 2 * hour, run);
  }

  #happens(deviceId: string, event: ExecutionEvent): Execution | undefined {
    const before = this.executions.get(deviceId);
    if (before === undefined) return undefined;
    // Now and then somebody decides on what was read a moment ago.
    const expected = before.version - (this.#random() < 0.02 ? 1 : 0);
    const outcome = advance(before, event, expected, this.now);
    if (!outcome.ok) return outcome.kind === 'conflict' ? this.#happens(deviceId, event) : undefined;
    const after = outcome.value;
    this.executions.set(deviceId, after);
    this.#count(before, after);
    this.#watch.changed(before, after, this.now);
    return after;
  }

  /** What a stream of changes would add up. */
  #count(before: Execution, after: Execution): void {
    const change = Number(after.outOfService) - Number(before.outOfService);
    this.#outOfService.set(after.unitId, (this.#outOfService.get(after.unitId) ?? 0) + change);
    const { state } = after.status;
    if (state === 'activating' || state === 'verifying') this.#inFlight.add(after.deviceId);
    else this.#inFlight.delete(after.deviceId);
    const tally = this.#tallies[after.wave];
    if (tally === undefined || !isFinal(after) || isFinal(before)) return;
    tally.waiting -= 1;
    const evidence = evidenceOf(after);
    if (evidence !== undefined) tally[evidence] += 1;
  }

  /** What runs every ten minutes: opens waves, judges, gives up on the silent. */
  #tick(): void {
    for (const id of [...this.#inFlight]) {
      const execution = this.executions.get(id);
      const deadline = execution && deadlineOf(execution, defaultLimits);
      if (deadline !== undefined && deadline <= this.now) {
        this.#happens(id, { kind: 'time-out' });
        this.#in(8 * hour, () => this.#repair(id));
      }
    }
    this.#judge();
    while (this.rollout.waves[this.#opened]?.openedAt !== undefined) {
      for (const { id } of this.#plan[this.#opened] ?? []) this.#in(this.#random() * hour, () => this.#dispatch(id));
      this.#opened += 1;
    }
    this.#in(10 * minute, () => this.#tick());
  }

  #judge(): void {
    const wave = this.rollout.waves.findIndex(
      ({ status }) => status.state !== 'promoted' && status.state !== 'skipped',
    );
    const [current, tally] = [this.rollout.waves[wave], this.#tallies[wave]];
    const definition = this.rollout.definition.waves[wave];
    if (current?.openedAt === undefined || tally === undefined || definition === undefined) return;
    const sum = { success: 0, failure: 0, silent: 0 };
    for (const { success, failure, silent } of this.#tallies) {
      sum.success += success;
      sum.failure += failure;
      sum.silent += silent;
    }
    const judgement = judge(
      {
        fetching: { fetched: tally.success, download: 0, space: 0 },
        reported: tally,
        silence: { success: tally.success + tally.failure, failure: tally.silent },
        pooled: { reported: sum, silence: { success: sum.success + sum.failure, failure: sum.silent } },
        ...{ strata: {}, safety: [], control: [] },
        ...(current.bakeUntil === undefined ? {} : { bakeUntil: Date.parse(current.bakeUntil) }),
      },
      definition.gate,
      this.now,
    );
    const begins = judgement.reason === 'bake' && current.bakeUntil === undefined;
    const bakeUntil = begins ? bakeEnd(this.now, definition.bakeHours, calendars) : this.now;
    this.apply({ kind: 'wave', wave, event: { kind: 'judged', judgement, waiting: tally.waiting, bakeUntil } });
  }

  #dispatch(id: string): void {
    const execution = this.executions.get(id);
    if (execution?.status.state !== 'planned') return;
    if (!permitOf(this.rollout, execution).allowed) {
      this.#in(hour, () => this.#dispatch(id));
      return;
    }
    this.#happens(id, { kind: 'dispatch' });
    this.#send(() => {
      if (this.#happens(id, { kind: 'staged', sha256: execution.sha256 }) === undefined) return;
      this.#happens(id, { kind: 'arm' });
      this.#look(id);
    });
  }

  /** The device is woken; what it says of itself takes its time to arrive. */
  #look(id: string): void {
    const offline = (lotOf(id, 'offline') + Math.floor(this.now / (2 * hour))) % 12 === 0;
    if (offline) {
      this.#wait(id, 'offline', this.now + hour);
      return;
    }
    const report = { inUse: this.inUse(id, this.now), at: this.now };
    this.#in(this.#random() * 90_000, () => this.#ask(id, report));
  }

  #wait(
    id: string,
    reason: 'offline' | Extract<ReturnType<typeof admit>, { admitted: false }>['reason'],
    until: number,
  ): void {
    if (this.#happens(id, { kind: 'defer', reason, until }) === undefined) return;
    this.#in(until - this.now, () => {
      this.#happens(id, { kind: 'look-again' });
      if (this.executions.get(id)?.status.state === 'armed') this.#look(id);
    });
  }

  #ask(id: string, report: { readonly inUse: boolean; readonly at: number }): void {
    const execution = this.executions.get(id);
    if (execution?.status.state !== 'armed') return;
    const { unitId } = execution;
    const admission = admit({
      deviceId: id,
      permit: permitOf(this.rollout, execution),
      budget: unitBudget({ devices: devicesOfUnit, keep }),
      outOfService: this.#outOfService.get(unitId) ?? 0,
      window: this.#window(unitId),
      brake: this.#decision(Gate.Brake, true),
      interlock: this.#decision(Gate.Interlock, !report.inUse && this.now - report.at <= minute),
      now: this.now,
    });
    if (!admission.admitted) {
      this.#wait(id, admission.reason, admission.until);
      return;
    }
    const activated = this.#happens(id, { kind: 'activate', admission });
    if (activated === undefined) return;
    this.#watch.activated(activated, this.rollout, report, this.now);
    this.#install(id);
  }

  #install(id: string): void {
    const unit = this.executions.get(id)?.unitId ?? '';
    const away = this.away.get(unit) ?? new Set();
    this.away.set(unit, away.add(id));
    const lot = this.#random();
    this.#in((5 + this.#random() * 15) * minute, () => {
      if (lot < this.#fate.failed) {
        this.#send(() => this.#happens(id, { kind: 'failed', class: 'self-test' }));
        this.#in(8 * hour, () => this.#repair(id));
      } else if (lot >= this.#fate.failed + this.#fate.silent) {
        away.delete(id);
        this.#send(() => this.#happens(id, { kind: 'installed' }));
        this.#send(() => this.#happens(id, { kind: 'verified' }));
      }
    });
  }

  #repair(id: string): void {
    this.away.get(this.executions.get(id)?.unitId ?? '')?.delete(id);
    this.#happens(id, { kind: 'returned' });
  }

  #decision(gate: Gate, yes: boolean): GateDecision {
    const at = new Date(this.now).toISOString();
    const common = { gate, at, ruleId: 'R1', reason: 'As reported.', inputs: [] } as const;
    if (yes) return { ...common, effect: GateEffect.Allow };
    return { ...common, effect: GateEffect.Defer, until: new Date(this.now + 30 * minute).toISOString() };
  }

  #window(unitId: string): { open: true } | { open: false; opensAt: number | undefined } {
    const zone = zoneOf(unitId);
    let span = this.#windows.get(zone);
    if (span === undefined || span.to <= this.now) {
      const calendar = calendars.find((one) => one.zone === zone);
      span = calendar && nextOpening(calendar, this.now);
      this.#windows.set(zone, span);
    }
    return span !== undefined && span.from <= this.now ? { open: true } : { open: false, opensAt: span?.from };
  }
}

/** Days, for runs. */
export const days = (count: number): number => count * day;
