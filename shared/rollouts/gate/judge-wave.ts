import { AlertKind, alertPart } from '../../alerts/alert.ts';
import type { Table } from '../../aws/dynamodb.ts';
import type { WritePart } from '../../devices/store.ts';
import { changeRollout, type WantedChange } from '../change-rollout.ts';
import { type Engine, engineActor } from '../engine.ts';
import { isFinalState } from '../executions/execution.ts';
import { calendarsOfWave, distinct, RolloutPlaces } from '../places.ts';
import type { SiteSummary } from '../plan/site-summary.ts';
import type { Rollout } from '../rollout.ts';
import { listSiteSummaries, type StoredRollout } from '../rollout-store.ts';
import { bakeEnd } from './bake.ts';
import type { Comparison } from './control.ts';
import { getControl } from './control-store.ts';
import { type GateJudgement, GateReason, judge, stopWords, type WaveEvidence } from './gate.ts';
import type { TestResult } from './sprt.ts';
import { evidenceFrom, seenOfWave, type WaveTally } from './tally.ts';
import { listTallies } from './tally-store.ts';
import { tellUnfetched } from './unfetched.ts';
import { watch } from './watch.ts';
import { listMarks, putMark } from './watch-store.ts';
import { isPassed, type Wave } from './wave.ts';

/** The wave that is under way: the first that is not passed, once it has begun. */
export function openWave({ waves }: Rollout): number | undefined {
  const index = waves.findIndex((wave) => !isPassed(wave));
  return waves[index]?.openedAt === undefined ? undefined : index;
}

/** How many devices of a wave may still bring evidence: planned at sites that take part, and not at their end. */
export function waitingIn(
  { skippedSites }: Pick<Rollout, 'skippedSites'>,
  wave: number,
  summaries: readonly SiteSummary[],
  tallies: readonly WaveTally[],
): number {
  const ended = new Map<string, number>();
  for (const tally of tallies) {
    if (tally.wave !== wave || tally.direction !== 'forward') continue;
    ended.set(tally.siteId, endedIn(tally) + (ended.get(tally.siteId) ?? 0));
  }
  return summaries
    .filter(({ siteId }) => !skippedSites.includes(siteId))
    .reduce((sum, { siteId, devices }) => sum + Math.max(0, (devices[wave] ?? 0) - (ended.get(siteId) ?? 0)), 0);
}

/** How many devices of a wave were told anything, or could not take part, at all sites. */
const toldInWave = (tallies: readonly WaveTally[], wave: number): number =>
  tallies
    .filter((tally) => tally.wave === wave)
    .reduce((sum, { states }) => sum + Object.values(states).reduce((told, count) => told + count, 0), 0);

/** How many devices of a wave came to their end, at all sites. */
const endedInWave = (tallies: readonly WaveTally[], wave: number): number =>
  tallies.filter((tally) => tally.wave === wave).reduce((sum, tally) => sum + endedIn(tally), 0);

/** How many devices of a tally came to their end. */
export const endedIn = ({ states }: WaveTally): number =>
  Object.entries(states).reduce((sum, [state, count]) => sum + (isFinalState(state) ? count : 0), 0);

/** All that the gate is told of a wave. */
export const evidenceOfWave = (
  wave: Wave,
  index: number,
  tallies: readonly WaveTally[],
  control: readonly Comparison[],
): WaveEvidence => ({
  ...evidenceFrom(tallies, index),
  // A safety event stops the rollout at once, and does not wait for a gate.
  safety: [],
  control,
  ...(wave.bakeUntil === undefined ? {} : { bakeUntil: Date.parse(wave.bakeUntil) }),
});

/**
 * Judges the wave that is under way by the tallies, and does what the gate says: bake, promote, hold or stop. The devices
 * that come after their wave had shown enough are watched on, also when the last wave is promoted: they stop it too. The
 * decision, its words and its numbers are in the audit record of the change.
 *
 * @returns the rollout as it is afterwards; undefined when there is none
 */
export function judgeRollout(engine: Engine, rolloutId: string, now: Date): Promise<StoredRollout | undefined> {
  return changeRollout(engine, rolloutId, (rollout) => judgementOf(engine, rollout, now), now);
}

async function judgementOf(
  { devices, directory }: { readonly devices: Table; readonly directory: Table },
  rollout: StoredRollout,
  now: Date,
): Promise<WantedChange | undefined> {
  // What was stopped never goes forward again, so nothing is left to judge.
  if (rollout.stopped !== undefined || !judgedStates.has(rollout.state)) return undefined;
  const tallies = await listTallies(directory, rollout.id, 'forward');
  const alarm = await watchLater(directory, rollout, tallies, now);
  if (alarm !== undefined) return alarm;
  await tellUnfetched(directory, rollout, tallies, now);
  const index = openWave(rollout);
  const wave = index === undefined ? undefined : rollout.waves[index];
  const definition = index === undefined ? undefined : rollout.definition.waves[index];
  if (index === undefined || wave === undefined || definition === undefined) return undefined;
  const control = await getControl(directory, rollout.id, index);
  let read: Promise<SiteSummary[]> | undefined;
  /** Of a large network these are a megabyte or two, and most judgements need none of it. */
  const summaries = () => {
    read ??= listSiteSummaries(directory, rollout.id);
    return read;
  };
  const evidence = evidenceOfWave(wave, index, tallies, control?.comparisons ?? []);
  const judgement = judge(evidence, definition.gate, now.getTime());
  const begins = judgement.reason === GateReason.Bake && wave.bakeUntil === undefined;
  const bakeUntil = begins
    ? await bakeEndOf(new RolloutPlaces(directory, devices), rollout, await summaries(), index, now)
    : now.getTime();
  const waiting =
    rollout.skippedSites.length === 0
      ? Math.max(0, wave.devices - endedInWave(tallies, index))
      : waitingIn(rollout, index, await summaries(), tallies);
  if (waiting === 0 && toldInWave(tallies, index) === 0) {
    return { event: { kind: 'wave', wave: index, event: { kind: 'left-out' } } };
  }
  return {
    event: { kind: 'wave', wave: index, event: { kind: 'judged', judgement, waiting, bakeUntil } },
    grounds: groundsOf(judgement),
    isNews: (after) => isNews(wave, after.waves[index]),
    parts: (after) => alertsOf(directory, rollout, after, index, now),
  };
}

/** States in which what devices report may stop the rollout: also while it is watched after its last wave. */
const judgedStates: ReadonlySet<Rollout['state']> = new Set(['running', 'paused', 'soaking']);

/** Looks at the devices of each wave that came after it had shown enough. @returns the stop that they lead to, if any */
async function watchLater(
  directory: Table,
  rollout: StoredRollout,
  tallies: readonly WaveTally[],
  now: Date,
): Promise<WantedChange | undefined> {
  const watched = rollout.waves.flatMap(({ status, bakeUntil }, wave) =>
    status.state === 'promoted' || bakeUntil !== undefined ? [wave] : [],
  );
  if (watched.length === 0) return undefined;
  const marks = await listMarks(directory, rollout.id);
  const whole = {
    devices: rollout.waves.reduce((sum, wave) => sum + wave.devices, 0),
    waves: rollout.waves.length,
  };
  for (const wave of watched) {
    const [definition, name] = [rollout.definition.waves[wave], rollout.waves[wave]?.name];
    if (definition === undefined) continue;
    const seen = seenOfWave(tallies, wave);
    const mark = marks.get(wave);
    const { alarm, mark: next, ...tests } = watch(seen, mark ?? seen, definition.gate, whole);
    if (alarm !== undefined) {
      const words = `"${name}", after it had shown enough: ${stopWords(tests[alarm], alarm)}`;
      return {
        event: { kind: 'alarm', wave, words },
        grounds: { wave, reason: alarm, failures: testOf(tests.failures), silence: testOf(tests.silence) },
        parts: (after) => [alertPart(directory, rolloutAlert(AlertKind.RolloutStopped, after, alarm, { wave }), now)],
      };
    }
    if (mark === undefined || next.reported !== mark.reported || next.silence !== mark.silence) {
      await putMark(directory, rollout.id, wave, next);
    }
  }
  return undefined;
}

/** Until when a wave bakes if that begins now: past a change of shifts at each of its places. */
export async function bakeEndOf(
  places: RolloutPlaces,
  rollout: Pick<Rollout, 'definition' | 'skippedSites'>,
  summaries: readonly SiteSummary[],
  wave: number,
  begin: Date,
): Promise<number> {
  const calendars = await calendarsOfWave(places, rollout, summaries, wave);
  const hours = rollout.definition.waves[wave]?.bakeHours ?? 0;
  return bakeEnd(begin.getTime(), hours, distinct([...calendars.values()].flat()));
}

/** Whether the wave stands otherwise than before: most judgements say what the one before them said. */
function isNews(was: Wave, is: Wave | undefined): boolean {
  if (is === undefined || is === was) return false;
  if (was.status.state !== is.status.state || was.bakeUntil !== is.bakeUntil) return true;
  if (was.status.state !== 'held' || is.status.state !== 'held') return false;
  if (was.status.reason !== is.status.reason) return true;
  // There devices go on, and each would change the numbers: the gate of the wave tells those.
  return is.status.reason !== GateReason.Fetch && was.status.words !== is.status.words;
}

/** A stop is told at once; a hold when it begins, and when it is for another reason. */
function alertsOf(directory: Table, before: Rollout, after: Rollout, index: number, now: Date): readonly WritePart[] {
  const [was, is] = [before.waves[index]?.status, after.waves[index]?.status];
  if (is?.state === 'failed') {
    return [alertPart(directory, rolloutAlert(AlertKind.RolloutStopped, after, is.reason, { wave: index }), now)];
  }
  if (is?.state !== 'held' || (was?.state === 'held' && was.reason === is.reason)) return [];
  return [alertPart(directory, rolloutAlert(AlertKind.RolloutHeld, after, is.reason, { wave: index }), now)];
}

/** The numbers of a judgement: from them anybody can reckon it again. */
const groundsOf = ({
  verdict,
  reason,
  failures,
  silence,
  pooled,
  fetching,
  interval,
  strata,
  control,
}: GateJudgement) => ({
  verdict,
  reason,
  failures: testOf(failures),
  silence: testOf(silence),
  pooled: testOf(pooled),
  ...(fetching.tally.failure === 0 ? {} : { fetching: testOf(fetching) }),
  interval,
  ...(strata.length === 0 ? {} : { strata: strata.map(({ stratum, of, test }) => ({ stratum, of, ...testOf(test) })) }),
  ...(control.findings.length === 0 ? {} : { control: control.findings }),
});

const testOf = ({ tally, settings, evidence, promoteAt, stopAt, verdict }: TestResult) => ({
  ...tally,
  ...settings,
  evidence: Number(evidence.toFixed(4)),
  promoteAt: Number(promoteAt.toFixed(4)),
  stopAt: Number(stopAt.toFixed(4)),
  verdict,
});

/** The alert of a rollout that stopped, or of a wave that is held. Ids and codes only: it leaves the account by mail. */
export const rolloutAlert = (
  kind: AlertKind,
  { id, state }: Rollout,
  reason: string,
  details: Readonly<Record<string, string | number>>,
) => ({
  kind,
  actor: engineActor,
  summary:
    kind === AlertKind.RolloutStopped
      ? `Rollout ${id} was stopped (${reason}); it is ${state}.`
      : `Rollout ${id} waits for a person: its wave is held (${reason}).`,
  see: `/v1/rollouts/${id}`,
  details: { rolloutId: id, state, reason, ...details },
});
