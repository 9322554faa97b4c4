import type { Engine } from '../engine.ts';
import { isFinalState } from '../executions/execution.ts';
import { listTallies } from '../gate/tally-store.ts';
import { anyOpen, calendarsOfWave, RolloutPlaces } from '../places.ts';
import type { Rollout } from '../rollout.ts';
import { listSiteSummaries } from '../rollout-store.ts';
import { deleteWait, listWaits, type Wait } from './wait-store.ts';
import { answersFor, type WaitFacts } from './waits.ts';

/** What answering needs: the tables, and whoever passes the answers on. */
export type AnswerMeans = Pick<Engine, 'devices' | 'directory' | 'answer'>;

/**
 * Tells the state machines of a rollout what they wait for, as far as it has come. Called after every change of the
 * rollout, by whoever changed it, and each minute: a token that was stored in between is answered then. An answer that
 * comes twice is for nobody, and its token is forgotten.
 *
 * @param rollout as it is now
 * @param backMissing whether devices are left that must go back and that nobody has told
 * @returns how many were told
 */
export async function answerWaits(
  means: AnswerMeans,
  rollout: Rollout,
  now: Date,
  backMissing = false,
): Promise<number> {
  const waits = await listWaits(means.directory, rollout.id);
  if (waits.length === 0) return 0;
  const facts = await factsFor(means, rollout, waits, now, backMissing);
  // One that cannot be told must not keep the others waiting.
  const outcomes = await Promise.allSettled(
    answersFor(rollout, waits, facts).map(async ({ wait, output }) => {
      const outcome = await means.answer(wait.token, output);
      await deleteWait(means.directory, wait);
      return outcome;
    }),
  );
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value === 'told').length;
}

/** Reads only what the open waits ask for. */
async function factsFor(
  { devices, directory }: AnswerMeans,
  rollout: Rollout,
  waits: readonly Wait[],
  now: Date,
  backMissing: boolean,
): Promise<WaitFacts> {
  const open = new Set<string>();
  const waves = new Set(waits.flatMap(({ step, wave }) => (step === 'window' && wave !== undefined ? [wave] : [])));
  if (waves.size > 0) {
    const sites = new Set(waits.filter(({ step }) => step === 'window').map(({ siteId }) => siteId));
    const summaries = (await listSiteSummaries(directory, rollout.id)).filter(({ siteId }) => sites.has(siteId));
    const places = new RolloutPlaces(directory, devices);
    for (const wave of waves) {
      for (const [siteId, calendars] of await calendarsOfWave(places, rollout, summaries, wave)) {
        if (anyOpen(calendars, now.getTime())) open.add(`${wave} ${siteId}`);
      }
    }
  }
  const unfinished = new Set<string>();
  const ended = new Map<string, number>();
  if (rollout.state === 'rolling-back' && waits.some(({ step }) => step === 'back')) {
    for (const { siteId, states } of await listTallies(directory, rollout.id, 'back')) {
      for (const [state, count] of Object.entries(states)) {
        if (isFinalState(state)) ended.set(siteId, (ended.get(siteId) ?? 0) + count);
        else unfinished.add(siteId);
      }
    }
  }
  return {
    isOpen: (siteId, wave) => open.has(`${wave} ${siteId}`),
    // What was told a moment ago is not counted yet.
    isBack: (siteId, told) => !unfinished.has(siteId) && (ended.get(siteId) ?? 0) >= told,
    backMissing,
  };
}
