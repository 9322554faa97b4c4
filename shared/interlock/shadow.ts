import { Gate, type GateDecision } from '../commands/gates/gate.ts';
import { DeviceClass } from '../devices/device.ts';
import { decideOn } from './decide.ts';
import type { CommandFacts } from './disruption.ts';
import { SignalName } from './observe.ts';
import type { InterlockSettings } from './settings.ts';

/** A decision that other settings would have made otherwise. */
export interface ShadowChange {
  readonly deviceId: string;
  /** Missing for what was refused. */
  readonly commandId?: string;
  readonly type: string;
  readonly at: string;
  readonly was: Pick<GateDecision, 'effect' | 'ruleId' | 'reason'>;
  readonly would: Pick<GateDecision, 'effect' | 'ruleId' | 'reason'>;
}

/** What other settings would have done to the decisions of one command. */
export interface ShadowResult {
  readonly changes: readonly ShadowChange[];
  /** Decisions that were made anew from their stored inputs. */
  readonly decided: number;
  /** Decisions that cannot be: they carry no inputs, because the command disturbs nobody or is older than the interlock. */
  readonly undecidable: number;
}

/** A command, or a request that was refused, as far as the interlock decided on it. */
export interface Decided extends CommandFacts {
  readonly deviceId: string;
  /** Missing for what was refused. */
  readonly commandId?: string;
  readonly decisions: readonly GateDecision[];
}

const classes: ReadonlySet<string> = new Set(Object.values(DeviceClass));

/**
 * Makes the interlock's decisions of a request anew under other settings (R17), from the inputs that were stored with them
 * and nothing else: what was not known then is not known now.
 */
export function shadow(of: Decided, settings: InterlockSettings): ShadowResult {
  const decisions = of.decisions.filter(({ gate }) => gate === Gate.Interlock);
  const changes: ShadowChange[] = [];
  let decided = 0;
  for (const decision of decisions) {
    const deviceClass = classOf(decision);
    if (deviceClass === undefined) continue;
    decided += 1;
    const forced = decision.ruleId === 'R12';
    const would = decideOn(of, deviceClass, decision.inputs, Date.parse(decision.at), { settings, forced });
    if (would.effect === decision.effect && would.ruleId === decision.ruleId) continue;
    const { deviceId, commandId, type } = of;
    const what = { deviceId, ...(commandId === undefined ? {} : { commandId }), type };
    changes.push({ ...what, at: decision.at, was: told(decision), would: told(would) });
  }
  return { changes, decided, undecidable: Math.max(1, decisions.length) - decided };
}

const told = ({ effect, ruleId, reason }: GateDecision) => ({ effect, ruleId, reason });

function classOf({ inputs }: GateDecision): DeviceClass | undefined {
  const value = inputs.find(({ signal }) => signal === SignalName.DeviceClass)?.value;
  return isClass(value) ? value : undefined;
}

const isClass = (value: unknown): value is DeviceClass => typeof value === 'string' && classes.has(value);
