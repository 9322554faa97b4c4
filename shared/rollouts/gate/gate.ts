import { type Comparison, type ControlResult, compareWithControl } from './control.ts';
import { type Interval, wilsonInterval } from './intervals.ts';
import {
  defaultTest,
  type StratumTally,
  sequentialTest,
  successesUntil,
  type Tally,
  type TestResult,
  type TestSettings,
  Verdict,
} from './sprt.ts';

/** How a wave is judged. */
export interface GateSettings {
  /** Of devices that reported: came through, or not. */
  readonly failures: TestSettings;
  /** Of devices that were activated: reported in time, or stayed silent. */
  readonly silence: TestSettings;
  /** How often the comparison with devices that are not updated yet may find harm where there is none. */
  readonly controlAlpha: number;
}

/** A device that says nothing was often only switched off, so a few are good; and a false stop is rarer. */
const silenceTest: TestSettings = { p0: 0.02, p1: 0.1, alpha: 0.01, beta: 0.1 };

/** The gate of waves that are large enough to prove something. */
export const defaultGate: GateSettings = { failures: defaultTest, silence: silenceTest, controlAlpha: 0.01 };

/**
 * A gate that looks for defects of this share of failures or more: the larger it is, the fewer devices decide, and the
 * less they prove.
 */
export const gateFor = (p1: number): GateSettings => ({
  failures: { ...defaultTest, p1 },
  silence: { ...silenceTest, p1: Math.max(silenceTest.p1, p1) },
  controlAlpha: 0.01,
});

/** Something that must not happen even once. */
export interface SafetyEvent {
  readonly deviceId: string;
  readonly kind: 'not-returned-to-service' | 'alarm-path-lost' | 'harm-reported';
  /** RFC 3339. */
  readonly at: string;
}

/** How the devices of a wave got at the artifact. What kept them from it is their network or storage, not the artifact. */
export interface Fetching {
  /** Devices that have it, had it, or wait for something else. */
  readonly fetched: number;
  /** Devices whose download failed. */
  readonly download: number;
  /** Devices without the space for it. */
  readonly space: number;
}

/** What is known of a wave when it is judged. */
export interface WaveEvidence {
  readonly fetching: Fetching;
  /** Devices of this wave that came to an end with a report. */
  readonly reported: Tally;
  /** Devices of this wave: reported in time, and silent beyond it. */
  readonly silence: Tally;
  /** The same of all waves until now, this one included. */
  readonly pooled: { readonly reported: Tally; readonly silence: Tally };
  /** The wave's devices by site, by hardware revision and by unit type: `hardware:B`, `site:s-…`, `unit-type:T2`. */
  readonly strata: Readonly<Record<string, StratumTally>>;
  readonly safety: readonly SafetyEvent[];
  readonly control: readonly Comparison[];
  /** Until when it bakes, milliseconds since the epoch; undefined when the bake has not begun. */
  readonly bakeUntil?: number;
}

/** Why a gate says what it says. */
export const GateReason = {
  SafetyEvent: 'safety-event',
  Failures: 'failures',
  Silence: 'silence',
  /** One stratum fails although the whole looks good. */
  Stratum: 'stratum',
  /** Updated devices fare worse than the others. */
  Control: 'control',
  /** Too many devices could not fetch the artifact, which says nothing of it. */
  Fetch: 'fetch',
  /** Too few devices have reported. */
  Evidence: 'evidence',
  Bake: 'bake',
  Good: 'good',
} as const;
export type GateReason = (typeof GateReason)[keyof typeof GateReason];

/** What a gate says of a wave, and all that a person needs to understand it. */
export interface GateJudgement {
  readonly verdict: Verdict;
  readonly reason: GateReason;
  /** In words, with numbers: what was seen and, when it holds, what is missing. */
  readonly words: string;
  readonly failures: TestResult;
  readonly silence: TestResult;
  readonly pooled: TestResult;
  /** Of devices that were told to fetch the artifact: did, or could not. It only ever holds. */
  readonly fetching: TestResult;
  /** Share of failures of this wave, for people. */
  readonly interval: Interval;
  /** The strata whose own test stops, and of what. */
  readonly strata: readonly {
    readonly stratum: string;
    readonly of: 'failures' | 'silence';
    readonly test: TestResult;
  }[];
  readonly control: ControlResult;
}

/**
 * Judges a wave. What stops comes first; then what a person must look at; then what is missing. It promotes only when
 * nothing of it is left.
 *
 * The wave's own evidence stops it: a defect of what is new in this wave is not thinned by the successes of earlier ones.
 * For promotion the evidence of all waves counts together, since a small wave alone can prove little; then the wave's
 * own must not point the other way.
 *
 * @param now milliseconds since the epoch
 */
export function judge(evidence: WaveEvidence, settings: GateSettings, now: number): GateJudgement {
  const failures = sequentialTest(evidence.reported, settings.failures);
  const silence = sequentialTest(evidence.silence, settings.silence);
  const pooled = sequentialTest(evidence.pooled.reported, settings.failures);
  const pooledSilence = sequentialTest(evidence.pooled.silence, settings.silence);
  const fetching = fetchTest(evidence.fetching, settings);
  const strata = strataThatStop(evidence.strata, settings);
  const control = compareWithControl(evidence.control, settings.controlAlpha);
  const say = (verdict: Verdict, reason: GateReason, words: string): GateJudgement => ({
    ...{ verdict, reason, words, failures, silence, pooled, fetching, strata, control },
    interval: wilsonInterval(evidence.reported),
  });

  const [event] = evidence.safety;
  if (event !== undefined) {
    return say(
      Verdict.Stop,
      GateReason.SafetyEvent,
      `${event.deviceId}: ${safetyWords[event.kind]} One such event stops.`,
    );
  }
  if (failures.verdict === Verdict.Stop) return say(Verdict.Stop, GateReason.Failures, stopWords(failures, 'failures'));
  if (silence.verdict === Verdict.Stop) {
    return say(Verdict.Stop, GateReason.Silence, stopWords(silence, 'silence'));
  }
  const [worst] = strata;
  if (worst !== undefined) {
    return say(Verdict.Hold, GateReason.Stratum, `${worst.stratum}: ${stopWords(worst.test, worst.of)}`);
  }
  const [finding] = control.findings;
  if (finding !== undefined) return say(Verdict.Hold, GateReason.Control, controlWords(finding));
  const unfetched = unfetchedWords(evidence.fetching);
  if (fetching.verdict === Verdict.Stop) {
    return say(Verdict.Hold, GateReason.Fetch, `${unfetched} Look at their way to it, and at their storage.`);
  }
  const missing = [
    missingWords(failures, pooled, 'come through'),
    missingWords(silence, pooledSilence, 'report in time'),
  ].filter((text) => text !== undefined);
  if (missing.length > 0) {
    return say(Verdict.Hold, GateReason.Evidence, [...missing, unfetched].filter((text) => text !== '').join(' '));
  }
  if (evidence.bakeUntil === undefined || now < evidence.bakeUntil) {
    const until = evidence.bakeUntil === undefined ? '' : ` until ${new Date(evidence.bakeUntil).toISOString()}`;
    return say(Verdict.Hold, GateReason.Bake, `The evidence is enough; it bakes${until}.`);
  }
  return say(Verdict.Promote, GateReason.Good, goodWords(failures, pooled));
}

/** The strata that would stop by themselves, the clearest first: by devices that fail, or that fall silent. */
function strataThatStop(strata: WaveEvidence['strata'], { failures, silence }: GateSettings): GateJudgement['strata'] {
  const entries = Object.entries(strata);
  // One of many strata is always the worst: each gets its part of alpha.
  const strict = (test: TestSettings) => ({ ...test, alpha: test.alpha / Math.max(1, entries.length) });
  return entries
    .flatMap(([stratum, { success, failure, silent }]) => [
      { stratum, of: 'failures' as const, test: sequentialTest({ success, failure }, strict(failures)) },
      {
        stratum,
        of: 'silence' as const,
        test: sequentialTest({ success: success + failure, failure: silent }, strict(silence)),
      },
    ])
    .filter(({ test }) => test.verdict === Verdict.Stop)
    .sort((a, b) => b.test.evidence - a.test.evidence);
}

const safetyWords: Readonly<Record<SafetyEvent['kind'], string>> = {
  'not-returned-to-service': 'did not return to service.',
  'alarm-path-lost': 'lost the path of its alarms.',
  'harm-reported': 'a person reported harm.',
};

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

const totalOf = ({ success, failure }: Tally): number => success + failure;

const whatHappened = { failures: 'failed', silence: 'did not report after the activation' } as const;

/** Why it stops, with the numbers, for people. */
export function stopWords({ tally, settings }: TestResult, of: keyof typeof whatHappened): string {
  const { p0, p1 } = settings;
  return `${tally.failure} of ${totalOf(tally)} devices ${whatHappened[of]}: too many for ${percent(p0)}, as expected at ${percent(p1)} or more.`;
}

/** Whether too many devices could not fetch the artifact: the test of failures. `stop` is for a person to look at. */
export const fetchTest = (fetching: Fetching, { failures }: Pick<GateSettings, 'failures'>): TestResult =>
  sequentialTest(fetchTallyOf(fetching), failures);

const fetchTallyOf = ({ fetched, download, space }: Fetching): Tally => ({
  success: fetched,
  failure: download + space,
});

/** Who could not fetch the artifact, and why; empty when everybody could. */
function unfetchedWords(fetching: Fetching): string {
  const tally = fetchTallyOf(fetching);
  if (tally.failure === 0) return '';
  const why = [
    ...(fetching.download > 0 ? [`the download failed on ${fetching.download}`] : []),
    ...(fetching.space > 0 ? [`${fetching.space} had no space`] : []),
  ];
  return `${tally.failure} of ${totalOf(tally)} devices could not fetch the artifact (${why.join(', ')}), which says nothing of the artifact.`;
}

/** What is missing until this promotes; undefined when nothing is. */
function missingWords(own: TestResult, pooled: TestResult, what: string): string | undefined {
  const devices = successesMissing(own, pooled);
  if (devices === 0) return undefined;
  const { tally, settings, failuresToStop } = own;
  return `${tally.failure} of ${totalOf(tally)} did not ${what}, not enough to exclude ${percent(settings.p1)}: ${devices} more must ${what} without another failure; ${failuresToStop} more failures stop it.`;
}

/**
 * How many devices of this wave must still come through, with no other failure: until its own evidence promotes and that
 * of all waves does not stop, or until that of all waves promotes and its own does not point the other way.
 */
export function successesMissing(own: TestResult, pooled: TestResult): number {
  const alone = Math.max(
    own.successesToPromote,
    pooled.verdict === Verdict.Stop ? Math.max(1, successesUntil(pooled, pooled.stopAt)) : 0,
  );
  const together = Math.max(pooled.successesToPromote, successesUntil(own, 0), own.tally.success === 0 ? 1 : 0);
  return Math.min(alone, together);
}

function controlWords({ stratum, updated, notYet, chance }: ControlResult['findings'][number]): string {
  return `${stratum}: ${updated.affected} of ${updated.watched} updated devices lost their connection, and ${notYet.affected} of ${notYet.watched} that are not updated yet; by chance alone this happens in ${percent(chance)} of cases.`;
}

function goodWords(own: TestResult, pooled: TestResult): string {
  const all = own.verdict === Verdict.Promote ? own : pooled;
  return `${all.tally.failure} of ${totalOf(all.tally)} devices failed: ${percent(all.settings.p1)} is excluded.`;
}
