import { Gate, type GateDecision, GateEffect, type GateInput, type RuleId } from '../commands/gates/gate.ts';
import { DeviceClass } from '../devices/device.ts';
import { type CommandFacts, Disruption, disruptionOf, isMobile, isPersonal } from './disruption.ts';
import { expiredSuffix, type Observation, observe, SignalName } from './observe.ts';
import { defaultInterlock, type InterlockSettings } from './settings.ts';

/** How the question is asked. */
export interface InterlockOptions {
  readonly settings?: InterlockSettings;
  /** Break-glass (R12): one person says that it must be. Life-critical devices do not listen to that. */
  readonly forced?: boolean;
}

/**
 * The clinical interlock: may this command reach this device now? Unknown and stale count as in use; any sign of use
 * blocks; that it is not in use is believed only of sources that can know.
 */
export function decideInterlock(
  command: CommandFacts,
  observation: Observation,
  options: InterlockOptions = {},
): GateDecision {
  const disruption = disruptionOf(command, observation.device.class);
  const inputs = disruption === undefined ? [] : observe(observation, disruption);
  return decideOn(command, observation.device.class, inputs, observation.now, options);
}

/** The rules alone, on inputs as a decision carries them: what shadow mode asks again. */
export function decideOn(
  command: CommandFacts,
  deviceClass: DeviceClass,
  inputs: readonly GateInput[],
  now: number,
  { settings = defaultInterlock, forced = false }: InterlockOptions = {},
): GateDecision {
  const disruption = disruptionOf(command, deviceClass);
  if (disruption === undefined) {
    const verdict = allow('R11', 'It does not disturb whoever uses the device.');
    return decision(verdict, [], now, settings);
  }
  const later = asksForLater(command, now);
  if (later !== undefined) return decision(later, inputs, now, settings);
  const facts = new Facts(inputs, deviceClass, disruption, settings);
  const verdict = judge(facts);
  if (!forced || verdict.effect === GateEffect.Allow) return decision(verdict, inputs, now, settings);
  const never = whyNeverForced(facts);
  if (never === undefined) {
    const reason = `Forced by break-glass, although: ${verdict.reason}`;
    return decision({ ...verdict, effect: GateEffect.Allow, ruleId: 'R12', reason }, inputs, now, settings);
  }
  return decision({ ...verdict, reason: `${verdict.reason} ${never}` }, inputs, now, settings);
}

/**
 * A restart from a time on is not handed out before it: the device would restart then, whoever is connected to it by that
 * time. Also in an emergency, whose time is chosen by whoever asks.
 */
function asksForLater({ parameters }: CommandFacts, now: number): Verdict | undefined {
  const { notBefore } = parameters;
  if (typeof notBefore !== 'string' || Date.parse(notBefore) <= now) return undefined;
  const opensAt = new Date(notBefore).toISOString();
  return { ...defer('R11', `It is asked for from ${opensAt} on, and is decided then.`), opensAt };
}

interface Verdict {
  readonly effect: GateEffect;
  readonly ruleId: RuleId;
  readonly reason: string;
  /** The signals that decided. */
  readonly because: readonly string[];
  /** When the window opens (RFC 3339). */
  readonly opensAt?: string;
}

const allow = (ruleId: RuleId, reason: string, ...because: string[]): Verdict => ({
  effect: GateEffect.Allow,
  ruleId,
  reason,
  because,
});

const defer = (ruleId: RuleId, reason: string, ...because: string[]): Verdict => ({
  effect: GateEffect.Defer,
  ruleId,
  reason,
  because,
});

function decision(
  verdict: Verdict,
  inputs: readonly GateInput[],
  now: number,
  settings: InterlockSettings,
): GateDecision {
  const { effect, ruleId, reason, because, opensAt } = verdict;
  const decided = (input: GateInput) => because.includes(input.signal);
  const until = opensAt ?? new Date(now + settings.recheckMinutes * 60_000).toISOString();
  return {
    gate: Gate.Interlock,
    at: new Date(now).toISOString(),
    effect,
    ruleId,
    reason,
    inputs: [...inputs.filter(decided), ...inputs.filter((input) => !decided(input))],
    ...(effect === GateEffect.Defer ? { until } : {}),
  };
}

/** The inputs by name, and what they mean together. */
class Facts {
  readonly deviceClass: DeviceClass;
  readonly disruption: Disruption;
  readonly settings: InterlockSettings;
  readonly #inputs: ReadonlyMap<string, GateInput>;

  constructor(
    inputs: readonly GateInput[],
    deviceClass: DeviceClass,
    disruption: Disruption,
    settings: InterlockSettings,
  ) {
    this.#inputs = new Map(inputs.map((input) => [input.signal, input]));
    this.deviceClass = deviceClass;
    this.disruption = disruption;
    this.settings = settings;
  }

  value(signal: string): string | number | boolean {
    return this.#inputs.get(signal)?.value ?? 'unknown';
  }

  age(signal: string): number {
    return this.#inputs.get(signal)?.ageSeconds ?? Number.POSITIVE_INFINITY;
  }

  /** How old the device's word may be. */
  get longestAge(): number {
    const { foregroundSeconds, deviceStateSeconds } = this.settings;
    return isPersonal(this.deviceClass) ? foregroundSeconds : deviceStateSeconds;
  }

  get isFresh(): boolean {
    return this.age(SignalName.DeviceState) <= this.longestAge;
  }

  /** The device says that it is free, whenever it said so. */
  get saysFree(): boolean {
    return ['idle', 'standby', 'service'].includes(String(this.value(SignalName.DeviceState)));
  }

  /** Somebody has taken it out of use to work on it: service or maintenance, in the words of IEEE 11073 SDC. */
  get isInService(): boolean {
    const mode = String(this.value(SignalName.OperatingMode));
    return (
      this.saysFree &&
      this.isFresh &&
      (this.value(SignalName.DeviceState) === 'service' || ['Srv', 'Mtn'].includes(mode))
    );
  }

  /** The tier of the place; a ventilator is always treated as in intensive care, an unknown place too (R1, R7). */
  get tier(): string {
    if (this.deviceClass === DeviceClass.Ventilator) return 'T0';
    const tier = String(this.value(SignalName.Tier));
    return tier === 'unknown' ? 'T0' : tier;
  }

  /** Administration, and nothing that was made to be connected to a patient. */
  get hasNoClinicalRole(): boolean {
    const { InfusionPump, PatientMonitor, Ventilator } = DeviceClass;
    const medical: readonly DeviceClass[] = [InfusionPump, PatientMonitor, Ventilator];
    return this.tier === 'T3' && !medical.includes(this.deviceClass);
  }
}

function judge(facts: Facts): Verdict {
  const use = signOfUse(facts);
  if (use !== undefined) {
    if (facts.disruption === Disruption.HidesScreen)
      return defer('R15', `${use.reason} Send a message first.`, use.signal);
    if (facts.disruption === Disruption.Erases)
      return { ...defer('R2', use.reason, use.signal), effect: GateEffect.Deny };
    return defer('R11', use.reason, use.signal);
  }
  if (facts.disruption === Disruption.HidesScreen) {
    return allow('R15', 'Nobody is known to use it now, and who does only has to unlock it.', SignalName.Session);
  }
  const doubt = facts.hasNoClinicalRole ? undefined : whyNotKnownFree(facts);
  if (doubt !== undefined) return doubt;
  if (facts.disruption === Disruption.Installs) return judgeInstallation(facts);
  if (facts.hasNoClinicalRole) return allow('R7', 'It has no clinical role where it stands.', SignalName.Tier);
  return allow('R1', 'It is known not to be in use.', SignalName.DeviceState, SignalName.Session);
}

/** The first sign that somebody uses the device. An old sign counts as well: stale is in use. Except for the lock screen. */
function signOfUse(facts: Facts): { readonly signal: string; readonly reason: string } | undefined {
  const needsFresh = facts.disruption === Disruption.HidesScreen;
  const state = facts.value(SignalName.DeviceState);
  if (state === 'in-use' && (facts.isFresh || !needsFresh)) {
    return {
      signal: SignalName.DeviceState,
      reason: `The device says that it is in use.`,
    };
  }
  const context = facts.value(SignalName.PatientContext);
  if ((context === 'Assoc' || context === 'Pre') && (facts.isFresh || !needsFresh)) {
    return {
      signal: SignalName.PatientContext,
      reason: `A patient is associated with the device.`,
    };
  }
  const says = (signal: string, word: string) =>
    facts.value(signal) === word || (!needsFresh && facts.value(signal) === word + expiredSuffix);
  if (says(SignalName.Session, 'open')) {
    return {
      signal: SignalName.Session,
      reason: `Somebody has it checked out or is signed in.`,
    };
  }
  if (says(SignalName.EhrOccupancy, 'occupied')) {
    return {
      signal: SignalName.EhrOccupancy,
      reason: `A patient lies in its bed.`,
    };
  }
  return undefined;
}

/** R1: why it is not certain that the device is free. A command that erases waits for nothing but a confirmation. */
function whyNotKnownFree(facts: Facts): Verdict | undefined {
  const session = isPersonal(facts.deviceClass) && facts.value(SignalName.Session) === 'none';
  if (!session && !facts.saysFree) {
    const unknown = defer('R1', 'Nobody knows whether it is in use, and unknown is in use.', SignalName.DeviceState);
    return facts.disruption === Disruption.Erases ? { ...unknown, effect: GateEffect.Deny } : unknown;
  }
  if (!session && !facts.isFresh) {
    // Without the age: the reason stays the same while it does not change, and the inputs say the age.
    const reason = `It said that it is not in use, but not within the last ${facts.longestAge} s, as far as its clock can be believed.`;
    return defer('R1', reason, SignalName.DeviceState);
  }
  if (isMobile(facts.deviceClass) && !facts.isInService && facts.value(SignalName.Charging) !== true) {
    return defer('R1', 'It is not on its charger, so somebody may take it up at any moment.', SignalName.Charging);
  }
  return undefined;
}

function judgeInstallation(facts: Facts): Verdict {
  if (facts.isInService) {
    return allow(
      'R7',
      'It is in service: somebody has taken it out of use.',
      SignalName.DeviceState,
      SignalName.OperatingMode,
    );
  }
  if (facts.tier === 'T0') {
    const reason =
      'Where it stands nothing is installed by itself: it waits until somebody puts the device into service.';
    return defer('R7', reason, SignalName.Tier, SignalName.DeviceClass);
  }
  const window = String(facts.value(SignalName.Window));
  if (facts.settings.windows && window !== 'open') {
    if (window === 'never' || window === 'unknown')
      return defer('R9', 'The unit has no maintenance window.', SignalName.Window);
    return { ...defer('R9', `The maintenance window opens at ${window}.`, SignalName.Window), opensAt: window };
  }
  // A workstation may be plugged into the wall and have no battery to speak of.
  if (facts.deviceClass !== DeviceClass.Workstation) {
    if (facts.value(SignalName.Charging) !== true)
      return defer('R11', 'It is not on its charger.', SignalName.Charging);
    const percent = facts.value(SignalName.Battery);
    if (typeof percent !== 'number' || percent < facts.settings.batteryPercent) {
      const reason = `Its battery must be known to have ${facts.settings.batteryPercent} %.`;
      return defer('R11', reason, SignalName.Battery);
    }
  }
  return allow('R9', 'It is known not to be in use, has power, and the maintenance window is open.', SignalName.Window);
}

/** Why break-glass does not apply: a patient's life may hang on the device. */
function whyNeverForced(facts: Facts): string | undefined {
  if (facts.deviceClass === DeviceClass.Ventilator) return 'A ventilator cannot be forced (R12).';
  const associated = ['Pre', 'Assoc'].includes(String(facts.value(SignalName.PatientContext)));
  const therapy = associated || !(facts.saysFree && facts.isFresh);
  if (facts.deviceClass === DeviceClass.InfusionPump && therapy) {
    return 'An infusion pump that may be giving therapy cannot be forced (R12).';
  }
  return undefined;
}
