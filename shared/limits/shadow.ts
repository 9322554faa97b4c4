import { destructiveTypes } from '../commands/gates/approval.ts';
import { Gate, type GateDecision, GateEffect, type GateInput } from '../commands/gates/gate.ts';
import { limiterSignals } from '../commands/gates/limiter.ts';
import { isLimited, type Limits, limitOf, placeNames, type TypeLimits } from './limits.ts';

/** What was decided of one request, as its audit record tells. */
export interface Decided {
  readonly deviceId: string;
  /** Missing for what became no command: what was refused, and revocations. */
  readonly commandId?: string;
  /** The type of the command, or `revoke`. */
  readonly type: string;
  readonly decisions: readonly GateDecision[];
}

/** What a gate said, or would have said. */
type Told = Pick<GateDecision, 'effect' | 'ruleId' | 'reason'>;

/** A decision that other limits would have made otherwise. */
export interface LimitsShadowChange {
  readonly deviceId: string;
  readonly commandId?: string;
  readonly type: string;
  readonly gate: typeof Gate.Approval | typeof Gate.Limiter;
  readonly at: string;
  readonly was: Told;
  readonly would: Told;
}

/** What other limits would have done to one request. */
export interface LimitsShadowResult {
  readonly changes: readonly LimitsShadowChange[];
  /** Decisions that were made anew from their stored inputs. */
  readonly decided: number;
  /** Decisions whose stored inputs do not tell what other limits would have said. */
  readonly undecidable: number;
}

/**
 * Makes the decisions of approval gate and limiter anew under other limits (R17), each by itself, from the inputs that were
 * stored with it. What other decisions of the same hour would have been is not reckoned in: stricter limits would have
 * refused fewer than this says, because what they refuse does not count; looser ones would have let fewer through.
 */
export function shadowLimits({ decisions, ...of }: Decided, limits: Limits): LimitsShadowResult {
  const answers = decisions.flatMap((decision) => {
    if (decision.gate === Gate.Approval) return [{ decision, answer: askApproval(of.type, decision, limits) }];
    if (decision.gate === Gate.Limiter) return [{ decision, answer: askLimiter(of.type, decision, limits) }];
    return [];
  });
  const known = answers.filter(({ answer }) => answer !== 'untouched' && answer !== 'unknown');
  return {
    changes: known.flatMap(({ decision, answer }) => {
      if (typeof answer === 'string') return [];
      const { gate, at, effect, ruleId, reason } = decision;
      return [{ ...of, gate: gate as LimitsShadowChange['gate'], at, was: { effect, ruleId, reason }, would: answer }];
    }),
    decided: known.length,
    undecidable: answers.filter(({ answer }) => answer === 'unknown').length,
  };
}

/** The other decision; `untouched` when no limit bears on it, `unknown` when its inputs do not tell. */
type Answer = Told | 'same' | 'untouched' | 'unknown';

/** Whether the number of devices would have asked for a second person. What is destructive always does. */
function askApproval(type: string, { effect, ruleId, inputs }: GateDecision, limits: Limits): Answer {
  if (destructiveTypes.has(type) || ruleId !== 'R3' || inputs.some(({ signal }) => signal === 'rollout')) {
    return 'untouched';
  }
  const devices = inputs.find(({ signal }) => signal === 'devices of the request')?.value;
  if (typeof devices !== 'number') return 'unknown';
  const needed = effect !== GateEffect.Allow || inputs.some(({ signal }) => signal === 'approval');
  const most = limits.bulkWithoutApproval;
  const needs = devices > most;
  if (needs === needed) return 'same';
  return needs
    ? { effect: GateEffect.Approval, ruleId: 'R3', reason: `More than ${most} devices at once take two people.` }
    : { effect: GateEffect.Allow, ruleId: 'R3', reason: `${type} for ${devices} devices needs no second person.` };
}

/** One window as a decision tells of it. */
interface ToldWindow {
  readonly place: string;
  readonly used: number;
  readonly counted: boolean;
  readonly enrolled?: { readonly devices: number; readonly all: boolean };
}

function askLimiter(type: string, decision: GateDecision, limits: Limits): Answer {
  const windows = windowsOf(decision.inputs);
  if (windows.length === 0) return 'untouched';
  const { ruleId } = decision;
  const what = ruleId === 'R12' ? 'break-glass' : type;
  const asked = windows.map((window) => ({ window, ...limitFor(type, decision, window, limits) }));
  const full = asked.find(({ window, most }) => !window.counted && most !== undefined && window.used >= most);
  const unsure = asked.some(({ window, least }) => !window.counted && (least === undefined || window.used >= least));
  if (full === undefined && unsure) return 'unknown';
  const effect = full === undefined ? GateEffect.Allow : GateEffect.Deny;
  if (effect === decision.effect) return 'same';
  if (full === undefined) return { effect, ruleId, reason: `${what} stays within every limit.` };
  const { place, used } = full.window;
  return {
    effect,
    ruleId,
    reason: `${what}: ${used} of at most ${full.most} devices within 60 minutes are used up for ${place}.`,
  };
}

function windowsOf(inputs: readonly GateInput[]): ToldWindow[] {
  return inputs.flatMap(({ signal, value }) => {
    if (!signal.startsWith(limiterSignals.used) || typeof value !== 'number') return [];
    const place = signal.slice(limiterSignals.used.length);
    const said = (name: string) => inputs.find((input) => input.signal === name + place)?.value;
    const enrolled = said(limiterSignals.enrolled);
    return [
      {
        place,
        used: value,
        counted: said(limiterSignals.counted) === true,
        ...(enrolled === undefined
          ? {}
          : { enrolled: { devices: Number.parseInt(String(enrolled), 10), all: typeof enrolled === 'number' } }),
      },
    ];
  });
}

/**
 * What the limit of the place would have been: surely not below `least`, surely not above `most`. They are the same where the
 * number of devices is known; where it is not, the limit's count is the most.
 */
function limitFor(
  type: string,
  { ruleId }: GateDecision,
  { place, enrolled }: ToldWindow,
  limits: Limits,
): { readonly least?: number; readonly most?: number } {
  if (ruleId === 'R12') {
    const exact = place === placeNames.network ? limits.breakGlass.network : limits.breakGlass.person;
    return { least: exact, most: exact };
  }
  if (!isLimited(type)) return {};
  const { network, site, unit }: TypeLimits = limits[type];
  if (place === placeNames.network) return { least: network.count, most: network.count };
  const limit = place.startsWith(placeNames.unit('')) ? unit : site;
  if (enrolled === undefined) return { least: 1, most: Math.max(1, limit.count) };
  const least = limitOf(limit, enrolled.devices);
  return { least, most: enrolled.all ? least : Math.max(1, limit.count) };
}
