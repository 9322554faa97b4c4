import type { DeviceId } from '../../devices/device.ts';
import { Gate, type GateDecision, GateEffect, type GateInput, type RuleId } from './gate.ts';

/** Length of every window, milliseconds. It slides: at no moment lie more than the limit within it. */
export const windowMilliseconds = 3_600_000;

/** One device that was touched. */
export interface Use {
  readonly deviceId: DeviceId;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `user:<sub>` */
  readonly by: string;
}

/** How much of one limit is used. */
export interface Window {
  /** Names the item. */
  readonly key: string;
  /** In words: `site s-…`. */
  readonly place: string;
  readonly limit: number;
  /** How many enrolled devices of the place were counted, where the limit is a share of them. */
  readonly enrolled?: { readonly counted: number; readonly all: boolean };
  readonly uses: readonly Use[];
  /** Of the item that was read; 0 when there was none. */
  readonly version: number;
}

/** The uses that still count. */
export const recent = (uses: readonly Use[], now: number): readonly Use[] =>
  uses.filter((use) => use.at > now - windowMilliseconds).sort((a, b) => a.at - b.at);

/** The window after a use. It counts devices: one that is touched again stays one, with its latest time. */
export function withUse(window: Window, use: Use): Window {
  const others = recent(window.uses, use.at).filter(({ deviceId }) => deviceId !== use.deviceId);
  return { ...window, uses: [...others, use] };
}

/**
 * The limiter (R4; R12 for break-glass). Pure: refuses when any of the windows is full. The writer stores the windows
 * with the command, under the condition that they are still the ones decided on.
 */
export function limiterDecision(
  what: string,
  windows: readonly Window[],
  deviceId: DeviceId,
  now: Date,
  ruleId: RuleId = 'R4',
): GateDecision {
  const time = now.getTime();
  const common = { gate: Gate.Limiter, at: now.toISOString(), ruleId } as const;
  if (windows.length === 0) {
    return { ...common, effect: GateEffect.Allow, reason: `${what} is not limited.`, inputs: [] };
  }
  const inputs = windows.flatMap((window) => inputsOf(window, deviceId, time));
  const full = windows
    .map((window) => ({ ...window, uses: recent(window.uses, time) }))
    .filter(({ uses, limit }) => uses.length >= limit && !uses.some((use) => use.deviceId === deviceId))
    .map((window) => ({ ...window, freeAt: freeAt(window) }))
    .sort((a, b) => b.freeAt - a.freeAt)
    .at(0);
  if (full === undefined) {
    return { ...common, effect: GateEffect.Allow, reason: `${what} stays within every limit.`, inputs };
  }
  const until = new Date(full.freeAt).toISOString();
  return {
    ...common,
    effect: GateEffect.Deny,
    reason: `${what}: ${full.uses.length} of at most ${full.limit} devices within 60 minutes are used up for ${full.place}. The next one is possible at ${until}.`,
    inputs: [...inputs].sort((a, b) => Number(b.signal.endsWith(full.place)) - Number(a.signal.endsWith(full.place))),
    until,
  };
}

/** Names of the facts of one window in a decision, each followed by the place; `shared/limits/shadow.ts` reads them again. */
export const limiterSignals = {
  used: 'devices this hour, ',
  limit: 'limit, ',
  /** Where the limit is a share: so many devices, or at least so many (`200+`). */
  enrolled: 'enrolled devices, ',
  /** Present when the device itself is among those of this hour, so that it takes no place. */
  counted: 'counted already, ',
} as const;

function inputsOf({ place, limit, enrolled, uses }: Window, deviceId: DeviceId, time: number): GateInput[] {
  const at = new Date(time).toISOString();
  const input = (signal: string, value: GateInput['value']) => ({
    signal: signal + place,
    value,
    source: 'directory',
    at,
  });
  const counting = recent(uses, time);
  return [
    input(limiterSignals.used, counting.length),
    input(limiterSignals.limit, limit),
    ...(enrolled === undefined
      ? []
      : [input(limiterSignals.enrolled, enrolled.all ? enrolled.counted : `${enrolled.counted}+`)]),
    ...(counting.some((use) => use.deviceId === deviceId) ? [input(limiterSignals.counted, true)] : []),
  ];
}

/** When so many uses have left the window that there is room for one. */
function freeAt({ uses, limit }: Pick<Window, 'uses' | 'limit'>): number {
  return (uses[uses.length - limit]?.at ?? 0) + windowMilliseconds;
}
