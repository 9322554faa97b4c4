import * as v from 'valibot';
import type { SiteSummary } from '../plan/site-summary.ts';
import type { Dispatched } from './dispatch.ts';

/** What a site's state machine does next with a wave. The definition chooses by these words. */
export const Stage = {
  /** Wait until the wave may begin here. */
  Window: 'window',
  /** Tell more devices. */
  Dispatch: 'dispatch',
  /** Some devices could not be told now: try again after a while. */
  Later: 'later',
  /** All are told: wait until the wave is promoted. */
  Monitor: 'monitor',
  /** It is promoted: look for the next one. */
  Passed: 'passed',
  /** The site has no more waves. */
  None: 'none',
} as const;
export type Stage = (typeof Stage)[keyof typeof Stage];

const place = v.pipe(v.number(), v.integer(), v.minValue(-1));

/** How far a site is: carried by its state machine from step to step. */
export const SiteProgress = v.object({
  /** Of the wave; -1 before the first. */
  index: place,
  stage: v.picklist(Object.values(Stage)),
  /** Of `DispatchCursor`. */
  next: place,
  again: place,
});
export type SiteProgress = v.InferOutput<typeof SiteProgress>;

/**
 * What a site does now: goes on with its wave where it was, or, when that is promoted, begins the next one that has
 * devices here.
 */
export function nextProgress(progress: SiteProgress, { devices }: Pick<SiteSummary, 'devices'>): SiteProgress {
  if (progress.stage !== Stage.Passed) {
    const told = progress.stage === Stage.Monitor || progress.stage === Stage.None;
    return told ? progress : { ...progress, stage: Stage.Window };
  }
  const index = devices.findIndex((count, wave) => wave > progress.index && count > 0);
  if (index < 0) return { ...progress, stage: Stage.None };
  return { index, stage: Stage.Window, next: 0, again: -1 };
}

/** How far the site is after a call of `dispatch`. */
export function progressAfter(progress: SiteProgress, dispatched: Dispatched): SiteProgress {
  if (dispatched.kind === 'done') return { ...progress, stage: Stage.Monitor };
  const stage = { more: Stage.Dispatch, stopped: Stage.Window, later: Stage.Later }[dispatched.kind];
  return { ...progress, ...dispatched.cursor, stage };
}

/** What an inline Map of Step Functions runs at the same time, and so the sites of one part. */
export const sitesOfPart = 40;

/**
 * The sites that take part, those of the first waves first, in parts that a Map runs at the same time. All sites must be
 * under way together: one that waits for a free place would hold up its wave, and with it those that have a place.
 */
export function partsOf(
  summaries: readonly Pick<SiteSummary, 'siteId' | 'devices'>[],
): readonly (readonly { readonly siteId: string }[])[] {
  const first = (devices: readonly number[]) => devices.findIndex((count) => count > 0);
  const sites = summaries
    .filter(({ devices }) => first(devices) >= 0)
    .sort((a, b) => first(a.devices) - first(b.devices) || (a.siteId < b.siteId ? -1 : 1))
    .map(({ siteId }) => ({ siteId }));
  return Array.from({ length: Math.ceil(sites.length / sitesOfPart) }, (_, part) =>
    sites.slice(part * sitesOfPart, (part + 1) * sitesOfPart),
  );
}
