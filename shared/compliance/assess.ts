/** Whether the device's own security report meets the baseline. */
export const Compliance = {
  Compliant: 'compliant',
  NotCompliant: 'not-compliant',
  /** Not reported, or reported as unknown: never counts as compliant. */
  Unknown: 'unknown',
} as const;
export type Compliance = (typeof Compliance)[keyof typeof Compliance];

type Verdict = 'pass' | 'fail' | 'unknown';
type Report = Readonly<Record<string, unknown>>;

/**
 * The baseline: storage encrypted, screen locks itself where there is a screen to lock, no security update waiting.
 * One failure makes the device not compliant; otherwise anything that is not known makes it unknown.
 *
 * @param posture the posture section of a check-in, as the device sent it
 */
export function assess(posture: Report): Compliance {
  const verdicts: Verdict[] = [
    stateOf(posture, 'diskEncryption', ['encrypted'], ['not-encrypted', 'partly-encrypted']),
    stateOf(posture, 'screenLock', ['enabled', 'not-applicable'], ['disabled']),
    updatesOf(posture),
  ];
  if (verdicts.includes('fail')) return Compliance.NotCompliant;
  return verdicts.includes('unknown') ? Compliance.Unknown : Compliance.Compliant;
}

function stateOf(posture: Report, name: string, passing: readonly string[], failing: readonly string[]): Verdict {
  const state = member(posture[name], 'state');
  if (typeof state !== 'string') return 'unknown';
  if (passing.includes(state)) return 'pass';
  return failing.includes(state) ? 'fail' : 'unknown';
}

function updatesOf(posture: Report): Verdict {
  const waiting = member(posture['updates'], 'security');
  if (typeof waiting !== 'number') return 'unknown';
  return waiting > 0 ? 'fail' : 'pass';
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}
