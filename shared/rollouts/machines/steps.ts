import * as v from 'valibot';
import type { ScheduleOnce } from '../../aws/one-shot-scheduler.ts';
import { timestamp } from '../../clock.ts';
import type { Engine } from '../engine.ts';
import { calendarsOfWave, RolloutPlaces } from '../places.ts';
import type { PlanStore } from '../plan/plan-store.ts';
import type { Rollout } from '../rollout.ts';
import { getRollout, getSiteSummary, listSiteSummaries, type StoredRollout } from '../rollout-store.ts';
import { answerWaits } from './answer-waits.ts';
import { type DispatchMeans, dispatch } from './dispatch.ts';
import { nextMachineName } from './machine-names.ts';
import { dispatchBack } from './roll-back-dispatch.ts';
import { nextProgress, partsOf, progressAfter, SiteProgress, Stage } from './site-progress.ts';
import { putWait, type Wait } from './wait-store.ts';
import { windowCall, windowCallName } from './window-call.ts';

const id = v.pipe(v.string(), v.minLength(1));
const ofSite = { rolloutId: id, siteId: id };
const count = v.pipe(v.number(), v.integer(), v.minValue(0));

/** What the state machines of rollouts ask for (`infra/state-machines`). */
export const StepRequest = v.variant('step', [
  /** Which sites take part. `execution` is the name of the asking execution. */
  v.object({ step: v.literal('sites'), rolloutId: id, execution: id }),
  /** What the site does now. */
  v.object({ step: v.literal('wave'), ...ofSite, wave: SiteProgress }),
  v.object({ step: v.literal('dispatch'), ...ofSite, wave: SiteProgress }),
  v.object({
    step: v.literal('roll-back'),
    ...ofSite,
    back: v.object({ after: v.string(), told: count, more: v.boolean() }),
  }),
  /** Waits: answered at once when there is nothing to wait for. */
  v.object({ step: v.literal('window'), ...ofSite, wave: count, token: id }),
  v.object({ step: v.literal('monitor'), ...ofSite, wave: count, token: id }),
  v.object({ step: v.literal('hold'), ...ofSite, wave: count, token: id }),
  v.object({ step: v.literal('back'), ...ofSite, told: count, token: id }),
  /** Of a site whose waves are over, or of the whole rollout. */
  v.object({ step: v.literal('finish'), rolloutId: id, siteId: v.optional(id), token: id }),
]);
export type StepRequest = v.InferOutput<typeof StepRequest>;

/** What the steps work with. */
export interface StepMeans extends DispatchMeans, Pick<Engine, 'answer' | 'pace'> {
  readonly plans: PlanStore;
  readonly scheduleOnce: ScheduleOnce;
  /** Told what went wrong where that does not end the step. */
  readonly report: (problem: string, error: unknown) => void;
}

/**
 * One step of a state machine of rollouts. All of them may be repeated: what was done is not done again.
 *
 * @returns what the definition goes on with; of a wait it is thrown away, its answer comes by its token
 */
export async function runStep(means: StepMeans, request: StepRequest): Promise<object> {
  switch (request.step) {
    case 'sites':
      return {
        parts: partsOf(await listSiteSummaries(means.directory, request.rolloutId)),
        next: nextMachineName(request.rolloutId, request.execution),
      };
    case 'wave': {
      const summary = await getSiteSummary(means.directory, request.rolloutId, request.siteId);
      return nextProgress(request.wave, summary ?? { devices: [] });
    }
    case 'dispatch':
      return dispatchSite(means, request);
    case 'roll-back':
      return dispatchBack(means, request.rolloutId, request.siteId, request.back, means.now());
    default:
      await wait(means, waitOf(request, means.now()));
      return {};
  }
}

async function dispatchSite(
  means: StepMeans,
  { rolloutId, siteId, wave }: Extract<StepRequest, { readonly step: 'dispatch' }>,
): Promise<SiteProgress> {
  const summary = await getSiteSummary(means.directory, rolloutId, siteId);
  if (summary === undefined) return { ...wave, stage: Stage.Monitor };
  const plan = await means.plans.get(rolloutId, siteId, summary.digest);
  return progressAfter(wave, await dispatch(means, rolloutId, plan, wave.index, wave));
}

type WaitRequest = Extract<StepRequest, { readonly token: string }>;

function waitOf({ step, rolloutId, token, ...more }: WaitRequest, now: Date): Wait {
  const siteId = more.siteId === undefined ? {} : { siteId: more.siteId };
  const wave = 'wave' in more ? { wave: more.wave } : {};
  const told = 'told' in more ? { told: more.told } : {};
  return { rolloutId, step, token, since: timestamp(now.getTime()), ...siteId, ...wave, ...told };
}

/**
 * Stores the token, and looks then whether there is anything to wait for: whoever changed the rollout before did not see
 * the token, and whoever changes it from now on does.
 */
async function wait(means: StepMeans, stored: Wait): Promise<void> {
  await putWait(means.directory, stored);
  const rollout = await getRollout(means.directory, stored.rolloutId);
  if (rollout === undefined) throw new Error(`There is no rollout ${stored.rolloutId}.`);
  await answerWaits(means, rollout, means.now());
  if (stored.step !== 'window') return;
  try {
    await callAtOpening(means, rollout, stored);
  } catch (error) {
    // The window is looked at each minute anyhow; this only makes it punctual.
    means.report('the opening of the window was not scheduled', error);
  }
}

const begins: ReadonlySet<Rollout['state']> = new Set(['running', 'soaking']);

/** Has the rollout looked at when the first unit of the site with devices in the wave opens. */
async function callAtOpening(means: StepMeans, rollout: StoredRollout, { siteId, wave }: Wait): Promise<void> {
  if (siteId === undefined || wave === undefined || !begins.has(rollout.state)) return;
  const summary = await getSiteSummary(means.directory, rollout.id, siteId);
  if (summary === undefined) return;
  const places = new RolloutPlaces(means.directory, means.devices);
  const calendars = (await calendarsOfWave(places, rollout, [summary], wave)).get(siteId) ?? [];
  const call = windowCall(calendars, means.now().getTime());
  if (call === undefined) return;
  await means.scheduleOnce({
    ...call,
    name: windowCallName(rollout.id, siteId, wave),
    description: `Wave ${wave} of rollout ${rollout.id} at site ${siteId}: the window opens`,
    input: { rolloutId: rollout.id },
  });
}
