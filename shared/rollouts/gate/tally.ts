import { type Execution, evidenceOf, fetchProblemOf } from '../executions/execution.ts';
import type { Fetching, WaveEvidence } from './gate.ts';
import type { StratumTally, Tally } from './sprt.ts';
import type { Seen } from './watch.ts';

/** Counts of the devices of a wave at a site. */
export interface WaveTally {
  readonly rolloutId: string;
  readonly direction: Execution['direction'];
  readonly wave: number;
  readonly siteId: string;
  /** Devices by state; planned ones that nobody began with are not among them. */
  readonly states: Readonly<Record<string, number>>;
  /** Devices that wait, by reason; that take no part, by `ineligible:<reason>`; that could not fetch it, by `unfetched:<problem>`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Devices that came to an end with a report. */
  readonly reported: Tally;
  /** Devices that reported in time, and devices that stayed silent after their activation. */
  readonly silence: Tally;
  /** The same by hardware revision and by type of unit: `hardware:B`, `unit-type:T2`. */
  readonly strata: Readonly<Record<string, StratumTally>>;
}

/** What the tallies know of an execution. */
export interface Counted {
  readonly state: string;
  readonly reason?: string;
  readonly evidence?: 'success' | 'failure' | 'silent';
  /** Version of the execution. */
  readonly version: number;
}

/** What there is to count of an execution. */
export function countedOf(execution: Pick<Execution, 'status' | 'activatedAt' | 'version'>): Counted {
  const { status, version } = execution;
  const evidence = evidenceOf(execution);
  const problem = fetchProblemOf(execution);
  return {
    state: status.state,
    ...(status.state === 'deferred' ? { reason: status.reason } : {}),
    ...(status.state === 'ineligible' ? { reason: `ineligible:${status.reason}` } : {}),
    ...(problem === undefined ? {} : { reason: `unfetched:${problem}` }),
    ...(evidence === undefined ? {} : { evidence }),
    version,
  };
}

/** Changes of a tally, by the name of the count: `state:queued`, `reason:in-use`, `reported:success` … Never 0. */
export type TallyDelta = Readonly<Record<string, number>>;

/**
 * What the tally of its wave and site changes by when an execution goes on. Changes add up, in whichever order.
 *
 * @param before what is counted of it so far
 */
export function deltaOf(
  before: Counted | undefined,
  after: Counted,
  { stratum }: { readonly stratum: string },
): TallyDelta {
  return sumOf([
    ...(before === undefined ? [] : countsOf(before, stratum).map((name) => [name, -1] as const)),
    ...countsOf(after, stratum).map((name) => [name, 1] as const),
  ]);
}

/** Several changes as one. */
export const addDeltas = (deltas: readonly TallyDelta[]): TallyDelta =>
  sumOf(deltas.flatMap((delta) => Object.entries(delta)));

function sumOf(changes: readonly (readonly [string, number])[]): TallyDelta {
  const sums = new Map<string, number>();
  for (const [name, by] of changes) sums.set(name, (sums.get(name) ?? 0) + by);
  return Object.fromEntries([...sums].filter(([, by]) => by !== 0));
}

/** Each of these counts the execution once. */
function countsOf({ state, reason, evidence }: Counted, stratum: string): string[] {
  const names = [`state:${state}`];
  if (reason !== undefined) names.push(`reason:${reason}`);
  if (evidence === undefined) return names;
  names.push(...strataOf(stratum).map((name) => `stratum:${name}:${evidence}`));
  if (evidence === 'silent') return [...names, 'silence:failure'];
  // Whoever reports a failure has reported.
  return [...names, `reported:${evidence}`, 'silence:success'];
}

/** The strata of `<hardware revision>/<unit type>`. A revision is what the maker writes, so it may hold a stroke. */
function strataOf(stratum: string): string[] {
  const end = stratum.lastIndexOf('/');
  return [`hardware:${stratum.slice(0, end)}`, `unit-type:${stratum.slice(end + 1)}`];
}

/** The tally that these counts are. */
export function tallyFrom(
  key: Pick<WaveTally, 'rolloutId' | 'direction' | 'wave' | 'siteId'>,
  counts: Readonly<Record<string, number>>,
): WaveTally {
  const under = (prefix: string): Record<string, number> =>
    Object.fromEntries(
      Object.entries(counts)
        .filter(([name, count]) => name.startsWith(prefix) && count !== 0)
        .map(([name, count]) => [name.slice(prefix.length), count]),
    );
  const strata: Record<string, StratumTally> = {};
  for (const [name, count] of Object.entries(under('stratum:'))) {
    const end = name.lastIndexOf(':');
    const stratum = name.slice(0, end);
    strata[stratum] = { ...(strata[stratum] ?? nobody), [name.slice(end + 1)]: count };
  }
  return {
    ...key,
    states: under('state:'),
    reasons: under('reason:'),
    reported: { ...nothing, ...under('reported:') },
    silence: { ...nothing, ...under('silence:') },
    strata,
  };
}

const nothing: Tally = { success: 0, failure: 0 };
const nobody: StratumTally = { ...nothing, silent: 0 };

const sum = (tallies: readonly Tally[]): Tally =>
  tallies.reduce(
    (all, { success, failure }) => ({ success: all.success + success, failure: all.failure + failure }),
    nothing,
  );

/**
 * What the tallies of a rollout say of a wave on its way forward: all that a gate needs but safety events, the
 * comparison with devices that are not updated, and the end of the bake, which no tally knows.
 */
export function evidenceFrom(
  tallies: readonly WaveTally[],
  wave: number,
): Pick<WaveEvidence, 'fetching' | 'reported' | 'silence' | 'pooled' | 'strata'> {
  const forward = tallies.filter(({ direction }) => direction === 'forward');
  const own = forward.filter((tally) => tally.wave === wave);
  const until = forward.filter((tally) => tally.wave <= wave);
  const strata = new Map<string, StratumTally[]>();
  const count = (name: string, tally: StratumTally) => strata.set(name, [...(strata.get(name) ?? []), tally]);
  for (const { siteId, reported, silence, strata: parts } of own) {
    const site = { ...reported, silent: silence.failure };
    if (site.success + site.failure + site.silent > 0) count(`site:${siteId}`, site);
    for (const [name, tally] of Object.entries(parts)) count(name, tally);
  }
  return {
    fetching: fetchingOf(own),
    reported: sum(own.map(({ reported }) => reported)),
    silence: sum(own.map(({ silence }) => silence)),
    pooled: { reported: sum(until.map(({ reported }) => reported)), silence: sum(until.map(({ silence }) => silence)) },
    strata: Object.fromEntries(
      [...strata].map(([name, parts]) => [
        name,
        { ...sum(parts), silent: parts.reduce((all, { silent }) => all + silent, 0) },
      ]),
    ),
  };
}

/** States of devices that have the artifact, had it, or were not kept from fetching it so far. */
const fetchedStates = ['deferred', 'staged', 'armed', 'activating', 'verifying', 'succeeded', 'rolled-back', 'failed'];

function fetchingOf(tallies: readonly WaveTally[]): Fetching {
  const total = (counts: readonly (number | undefined)[]) => counts.reduce<number>((all, count = 0) => all + count, 0);
  const download = total(tallies.map(({ reasons }) => reasons['unfetched:download']));
  const space = total(tallies.map(({ reasons }) => reasons['unfetched:space']));
  const all = total(tallies.flatMap(({ states }) => fetchedStates.map((state) => states[state])));
  return { fetched: Math.max(0, all - download - space), download, space };
}

/** What was seen of a wave's devices on their way forward, until now. */
export function seenOfWave(tallies: readonly WaveTally[], wave: number): Seen {
  const own = tallies.filter((tally) => tally.direction === 'forward' && tally.wave === wave);
  return { reported: sum(own.map(({ reported }) => reported)), silence: sum(own.map(({ silence }) => silence)) };
}
