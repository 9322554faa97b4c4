import type { StartMachine } from '../aws/machine-starter.ts';
import { nextOpening } from '../places/windows.ts';
import { type RoundPlace, runRound } from './admission/run-round.ts';
import { changeRollout } from './change-rollout.ts';
import type { Engine } from './engine.ts';
import { isFinalState } from './executions/execution.ts';
import {
  type BackSurvey,
  endOverdue,
  isEmpty,
  returnDevices,
  surveyBack,
  withdraw,
} from './executions/tick-executions.ts';
import { sampleControl } from './gate/control-sample.ts';
import { endedIn, judgeRollout, openWave } from './gate/judge-wave.ts';
import { listTallies } from './gate/tally-store.ts';
import { inParallel } from './in-parallel.ts';
import { answerWaits } from './machines/answer-waits.ts';
import { backMachineName, machineName } from './machines/machine-names.ts';
import { listWaits } from './machines/wait-store.ts';
import { anyOpen, calendarsOfWave, distinct, RolloutPlaces } from './places.ts';
import type { PlanStore } from './plan/plan-store.ts';
import type { SiteSummary } from './plan/site-summary.ts';
import type { Rollout, RolloutEvent } from './rollout.ts';
import {
  forgetEnded,
  getRollout,
  listActiveRollouts,
  listEndedRollouts,
  listSiteSummaries,
  type StoredRollout,
} from './rollout-store.ts';

/** What the clock drives rollouts with. */
export interface TickMeans extends Engine {
  readonly plans: PlanStore;
  /** Starts the state machine of rollouts. */
  readonly startMachine: StartMachine;
  /** 0 to 1; chooses what is looked at now of that which need not be looked at each minute. */
  readonly random: () => number;
}

/** An approved plan that nobody starts is of another network after so long, milliseconds. */
const scheduledHolds = 30 * 86_400_000;

/** Whoever still dispatches for a rollout that is aborted has seen it after this, milliseconds. */
const settleAfter = 2 * 60_000;

/** Sites and units that are worked on at the same time. */
const width = 8;

/** Units and classes that are looked at in one go; of more, each in its turn by chance. */
const unitsAtOnce = 400;

/** Devices that still fetch or wait are looked at once in so many goes: their time is counted in days. */
const fetchingOnceIn = 60;

/**
 * What time alone brings about: deadlines, windows that open, bakes and watches that end, approvals that expire, and all
 * that a lost message would have brought. Each rollout by itself: one that fails does not stop the others.
 *
 * @param only the rollout to look at; all that are active without it
 * @returns what went wrong, by rollout
 */
export async function tick(means: TickMeans, now: Date, only?: string): Promise<ReadonlyMap<string, unknown>> {
  const failed = new Map<string, unknown>();
  const isMeant = ({ id }: StoredRollout) => only === undefined || id === only;
  const look = async (rollouts: readonly StoredRollout[], work: (rollout: StoredRollout) => Promise<void>) => {
    for (const rollout of rollouts.filter(isMeant)) {
      try {
        await work(rollout);
      } catch (error) {
        failed.set(rollout.id, error);
      }
    }
  };
  await look(await listActiveRollouts(means.directory), ({ id }) => tickRollout(means, id, now));
  await look(await listEndedRollouts(means.directory), (rollout) => tellOfEnd(means, rollout, now));
  return failed;
}

/** The state machines of a rollout that ended come to their own end within this, milliseconds. */
const endedHolds = 86_400_000;

/** Tells those that still wait that it is over, as long as anybody may. */
async function tellOfEnd(means: TickMeans, rollout: StoredRollout, now: Date): Promise<void> {
  await answerWaits(means, rollout, now);
  if (Date.parse(rollout.since) + endedHolds <= now.getTime()) await forgetEnded(means.directory, rollout);
}

async function tickRollout(means: TickMeans, id: string, now: Date): Promise<void> {
  const rollout = await getRollout(means.directory, id);
  if (rollout === undefined) return;
  if (rollout.state === 'awaiting-approval' || rollout.state === 'scheduled') return expire(means, rollout, now);
  const summaries = (await listSiteSummaries(means.directory, id)).filter(({ devices }) =>
    devices.some((count) => count > 0),
  );
  const places = new RolloutPlaces(means.directory, means.devices);
  // First the windows: a wave that waits for them asks nobody.
  if (rollout.state === 'running') await noteWindows(means, places, rollout, summaries, now);
  await leaveOut(means, rollout, now);
  await lookAtDevices(means, places, rollout, summaries, now);
  let backMissing = false;
  switch (rollout.state) {
    case 'running':
    case 'paused':
      await lookAtWave(means, rollout, summaries, now);
      break;
    case 'soaking':
      await judgeRollout(means, id, now);
      await endSoak(means, rollout, summaries, now);
      break;
    case 'aborting':
      await settle(means, rollout, summaries, now);
      break;
    case 'rolling-back':
      backMissing = await finishBack(means, rollout, summaries, now);
      break;
    default:
      break;
  }
  const current = await getRollout(means.directory, id);
  if (current === undefined) return;
  await answerWaits(means, current, now, backMissing);
  await repairStart(means, current, now);
}

/** Whoever starts a rollout has started its state machine within this, milliseconds. */
const startHolds = 60_000;

/** More rounds of bringing back what nobody had told are a sign of something that another round does not heal. */
const mostBackRounds = 5;

/**
 * Starts the state machine of a rollout for which none waits: a start may have ended between the table and the machine,
 * or the machine may have ended in the middle of a way back. Where one runs, and is between two waits, nothing happens.
 */
async function repairStart(means: TickMeans, { id, state, since }: StoredRollout, now: Date): Promise<void> {
  if (state !== 'running' && state !== 'rolling-back') return;
  if (Date.parse(since) + startHolds > now.getTime()) return;
  if ((await listWaits(means.directory, id)).length > 0) return;
  const rounds = state === 'rolling-back' ? mostBackRounds : 0;
  for (let round = 0; round <= rounds; round += 1) {
    const name = round === 0 ? machineName(id) : backMachineName(id, round);
    if (await means.startMachine(name, { rolloutId: id })) return;
  }
}

async function expire(means: TickMeans, { id, state, approveUntil, since }: StoredRollout, now: Date): Promise<void> {
  const until = state === 'scheduled' ? Date.parse(since) + scheduledHolds : Date.parse(approveUntil ?? since);
  if (until > now.getTime()) return;
  await change(means, id, state, { kind: 'expire' }, now);
}

/** Changes a rollout, if it is still in this state. */
const change = (means: Engine, id: string, state: Rollout['state'], event: RolloutEvent, now: Date) =>
  changeRollout(means, id, (rollout) => (rollout.state === state ? { event } : undefined), now);

const goesForward: ReadonlySet<Rollout['state']> = new Set(['running', 'soaking', 'paused']);

/** Withdraws what has not been activated at sites that are left out: else it would wait there for ever, and the end with it. */
async function leaveOut(means: TickMeans, rollout: StoredRollout, now: Date): Promise<void> {
  if (!goesForward.has(rollout.state)) return;
  await inParallel(rollout.skippedSites, width, (siteId) => withdraw(means, rollout, siteId, now));
}

/** Deadlines, spares that can be given back, and rounds of admission. */
async function lookAtDevices(
  means: TickMeans,
  places: RolloutPlaces,
  rollout: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  await inParallel(summaries, width, async ({ siteId }) => {
    await endOverdue(means, rollout.id, siteId, 'A', now);
    if (means.random() * fetchingOnceIn >= 1) return;
    await endOverdue(means, rollout.id, siteId, 'Q', now);
    await endOverdue(means, rollout.id, siteId, 'R', now);
  });
  const units = unitsOf(rollout, summaries);
  const chance = unitsAtOnce / Math.max(1, units.length);
  const chosen = units.filter(() => chance >= 1 || means.random() < chance);
  await inParallel(chosen, width, async (place) => {
    await returnDevices(means, place, rollout.definition.artifact.kind, now);
    const unit = await places.unit(place.siteId, place.unitId);
    if (unit === undefined || !anyOpen([unit.calendar], now.getTime())) return;
    if (!(await isEmpty(means, rollout.id, place.siteId, ['R'], place))) await runRound(means, place, now);
  });
}

/** The units with devices in waves that have begun, each class once. */
function unitsOf({ id, waves }: Rollout, summaries: readonly SiteSummary[]): RoundPlace[] {
  const units = new Map<string, RoundPlace>();
  for (const { siteId, units: loads } of summaries) {
    for (const { wave, unitId, class: deviceClass } of loads) {
      if (waves[wave]?.openedAt === undefined) continue;
      units.set(`${siteId} ${unitId} ${deviceClass}`, { rolloutId: id, siteId, unitId, class: deviceClass });
    }
  }
  return [...units.values()];
}

/** The wave that is under way: its comparison with devices that come later, and what the gate says. */
async function lookAtWave(
  means: TickMeans,
  rollout: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  const index = openWave(rollout);
  if (index === undefined) return;
  if (rollout.state === 'running') await sampleControl(means, rollout, index, summaries, now);
  await judgeRollout(means, rollout.id, now);
}

/** Says of a wave that all its places are closed, and until when; or that one is open again. */
async function noteWindows(
  means: TickMeans,
  places: RolloutPlaces,
  rollout: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  const index = openWave(rollout);
  if (index === undefined) return;
  const { id, waves, skippedSites } = rollout;
  const status = waves[index]?.status;
  if (status?.state !== 'admitting' && status?.state !== 'window-wait') return;
  const calendars = distinct([...(await calendarsOfWave(places, { skippedSites }, summaries, index)).values()].flat());
  if (anyOpen(calendars, now.getTime())) {
    if (status.state === 'window-wait') {
      await change(means, id, 'running', { kind: 'wave', wave: index, event: { kind: 'window-opened' } }, now);
    }
    return;
  }
  const openings = calendars.flatMap((calendar) => nextOpening(calendar, now.getTime())?.from ?? []);
  if (openings.length === 0) return;
  const until = Math.min(...openings);
  if (status.state === 'window-wait' && Date.parse(status.until) === until) return;
  await change(means, id, 'running', { kind: 'wave', wave: index, event: { kind: 'windows-closed', until } }, now);
}

/** Ends the watch after the last wave once all its devices are at their end. */
async function endSoak(
  means: TickMeans,
  { id, soakUntil, skippedSites }: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  if (soakUntil === undefined || Date.parse(soakUntil) > now.getTime()) return;
  const tallies = await listTallies(means.directory, id, 'forward');
  const left = (site: SiteSummary): number => {
    const own = tallies.filter(({ siteId }) => siteId === site.siteId);
    const begun = own.reduce(
      (sum, { states }) => sum + Object.values(states).reduce((all, count) => all + count, 0),
      0,
    );
    const ended = own.reduce((sum, tally) => sum + endedIn(tally), 0);
    // At a site that is left out nobody else begins.
    const all = skippedSites.includes(site.siteId) ? begun : site.devices.reduce((sum, count) => sum + count, 0);
    return Math.max(0, all - ended);
  };
  const unfinished = summaries.reduce((sum, site) => sum + left(site), 0);
  await change(means, id, 'soaking', { kind: 'soaked', unfinished }, now);
}

/** Withdraws what has not begun; the rollout is aborted once all activations have ended. */
async function settle(
  means: TickMeans,
  rollout: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<void> {
  let left = 0;
  await inParallel(summaries, width, async ({ siteId }) => {
    if (!(await withdraw(means, rollout, siteId, now))) left += 1;
    else if (!(await isEmpty(means, rollout.id, siteId, ['Q', 'R', 'A']))) left += 1;
  });
  if (left > 0 || Date.parse(rollout.since) + settleAfter > now.getTime()) return;
  await change(means, rollout.id, 'aborting', { kind: 'settled', activating: 0 }, now);
}

/**
 * Withdraws what has not begun, and ends the way back once all devices came to its end.
 *
 * @returns whether devices are left that must go back and that nobody has told
 */
async function finishBack(
  means: TickMeans,
  rollout: StoredRollout,
  summaries: readonly SiteSummary[],
  now: Date,
): Promise<boolean> {
  let left = 0;
  await inParallel(summaries, width, async ({ siteId }) => {
    if (!(await withdraw(means, rollout, siteId, now))) left += 1;
  });
  const tallies = await listTallies(means.directory, rollout.id);
  // What is counted lags, but what it says is under way was under way; only then all devices are looked at.
  const busy = tallies.some(({ states }) => Object.keys(states).some((state) => !isFinalState(state)));
  if (left > 0 || busy) return false;
  const surveys: BackSurvey[] = [];
  await inParallel(summaries, width, async ({ siteId }) => {
    surveys.push(await surveyBack(means, rollout.id, siteId));
  });
  const sum = (what: keyof BackSurvey) => surveys.reduce((all, survey) => all + survey[what], 0);
  if (sum('missing') > 0) return true;
  const event = { kind: 'rolled-back', unfinished: sum('unfinished'), failed: sum('failed') } as const;
  await change(means, rollout.id, 'rolling-back', event, now);
  return false;
}
