/** What was seen: devices that came through, and devices that did not. */
export interface Tally {
  readonly success: number;
  readonly failure: number;
}

/** The same of a part of the devices, with those that fell silent after their activation, which are in neither. */
export interface StratumTally extends Tally {
  readonly silent: number;
}

/** The question of a sequential test, and how often it may answer wrongly. All between 0 and 1. */
export interface TestSettings {
  /** The share of failures that is still good. */
  readonly p0: number;
  /** The share of failures that must not go on; more than `p0`. */
  readonly p1: number;
  /** How often a good rollout may be stopped. */
  readonly alpha: number;
  /** How often a bad rollout may be promoted. */
  readonly beta: number;
}

/** 1 % against 5 %; one good rollout in twenty stopped, one bad one in ten promoted, at most. */
export const defaultTest: TestSettings = { p0: 0.01, p1: 0.05, alpha: 0.05, beta: 0.1 };

/** What a gate says. `hold` is an answer of its own: too little is known, and that is never taken for good. */
export const Verdict = { Promote: 'promote', Hold: 'hold', Stop: 'stop' } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Where a sequential test stands. */
export interface TestResult {
  readonly verdict: Verdict;
  readonly tally: Tally;
  readonly settings: TestSettings;
  /** Logarithm of how much likelier the evidence is at `p1` than at `p0`. */
  readonly evidence: number;
  /** At this evidence or less it promotes. */
  readonly promoteAt: number;
  /** At this evidence or more it stops. */
  readonly stopAt: number;
  /** Between the bounds: 0 promotes, 1 stops, begins at about 0.44 by default. */
  readonly position: number;
  /** Devices that must still come through, without a failure, until it promotes. */
  readonly successesToPromote: number;
  /** Failures in a row that stop it. */
  readonly failuresToStop: number;
}

/** Settings that no test can be made of. */
export class InvalidTestSettings extends Error {
  constructor(settings: TestSettings) {
    super(
      `A sequential test needs 0 < p0 < p1 < 1, alpha and beta more than 0 and together less than 1: ${JSON.stringify(settings)}`,
    );
    this.name = 'InvalidTestSettings';
  }
}

/**
 * Wald's sequential probability ratio test (A. Wald, *Sequential Analysis*, 1947). It may be looked at after each device
 * without being wrong more often, which no rule on a percentage can; it needs only two counts, and not their order.
 *
 * @throws InvalidTestSettings
 */
export function sequentialTest(tally: Tally, settings: TestSettings): TestResult {
  const { failureStep, successStep, promoteAt, stopAt } = stepsOf(settings);
  const evidence = tally.failure * failureStep + tally.success * successStep;
  const verdict = evidence >= stopAt ? Verdict.Stop : evidence <= promoteAt ? Verdict.Promote : Verdict.Hold;
  return {
    verdict,
    tally,
    settings,
    evidence,
    promoteAt,
    stopAt,
    position: Math.min(1, Math.max(0, (evidence - promoteAt) / (stopAt - promoteAt))),
    successesToPromote: Math.max(0, Math.ceil((promoteAt - evidence) / successStep)),
    failuresToStop: Math.max(0, Math.ceil((stopAt - evidence) / failureStep)),
  };
}

/** How many devices must come through, with no failure, until the evidence is at this level or below. */
export const successesUntil = ({ evidence, settings }: TestResult, level: number): number =>
  Math.max(0, Math.ceil((level - evidence) / stepsOf(settings).successStep));

/** How many devices must come through, when none fails, until the test promotes. */
export const cleanDevicesToPromote = (settings: TestSettings): number =>
  sequentialTest({ success: 0, failure: 0 }, settings).successesToPromote;

function stepsOf(settings: TestSettings) {
  const { p0, p1, alpha, beta } = settings;
  if (!(p0 > 0 && p0 < p1 && p1 < 1 && alpha > 0 && beta > 0 && alpha + beta < 1))
    throw new InvalidTestSettings(settings);
  return {
    failureStep: Math.log(p1 / p0),
    successStep: Math.log((1 - p1) / (1 - p0)),
    promoteAt: Math.log(beta / (1 - alpha)),
    stopAt: Math.log((1 - beta) / alpha),
  };
}
