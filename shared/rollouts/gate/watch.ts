import type { GateSettings } from './gate.ts';
import {
  cleanDevicesToPromote,
  sequentialTest,
  type Tally,
  type TestResult,
  type TestSettings,
  Verdict,
} from './sprt.ts';

/** What was seen of a promoted wave's devices. */
export interface Seen {
  readonly reported: Tally;
  readonly silence: Tally;
}

/** What the watch over a promoted wave comes to. */
export interface WatchResult {
  readonly failures: TestResult;
  readonly silence: TestResult;
  /** What it must be stopped for; undefined when nothing is wrong. */
  readonly alarm?: 'failures' | 'silence';
  /** From where on the next look counts. */
  readonly mark: Seen;
}

/**
 * Watches the devices that come after their wave was promoted: most of a large wave do. A defect that shows late must stop
 * the rollout as one that shows at once, and is not thinned by all that came through before: whenever a stretch of devices
 * promotes, the next one begins with nothing (E. S. Page, *Continuous Inspection Schemes*, 1954). Each stretch gets its
 * part of alpha, so that all of a good rollout together are stopped no oftener than one gate may.
 *
 * @param seen of the wave, until now
 * @param mark where the present stretch began
 * @param whole how many devices and waves the whole rollout has: each wave begins a stretch of its own
 */
export function watch(
  seen: Seen,
  mark: Seen,
  settings: GateSettings,
  whole: { readonly devices: number; readonly waves: number },
): WatchResult {
  const failures = stretchOf(seen.reported, mark.reported, settings.failures, whole);
  const silence = stretchOf(seen.silence, mark.silence, settings.silence, whole);
  const alarm =
    failures.verdict === Verdict.Stop ? 'failures' : silence.verdict === Verdict.Stop ? 'silence' : undefined;
  return {
    failures,
    silence,
    ...(alarm === undefined ? {} : { alarm }),
    mark: {
      reported: failures.verdict === Verdict.Promote ? seen.reported : mark.reported,
      silence: silence.verdict === Verdict.Promote ? seen.silence : mark.silence,
    },
  };
}

function stretchOf(
  seen: Tally,
  mark: Tally,
  settings: TestSettings,
  { devices, waves }: Parameters<typeof watch>[3],
): TestResult {
  // A stretch that promotes has at least so many devices; the last of each wave does not get so far.
  const stretches = devices / cleanDevicesToPromote(settings) + waves;
  // Whoever counts at the same moment may have set the mark further on.
  const since = {
    success: Math.max(0, seen.success - mark.success),
    failure: Math.max(0, seen.failure - mark.failure),
  };
  return sequentialTest(since, { ...settings, alpha: settings.alpha / stretches });
}
