import { AuditOutcome, auditRecord } from '../../audit/record.ts';
import type { Table } from '../../aws/dynamodb.ts';
import { changeRecord } from '../change-record.ts';
import { rolloutPartition } from '../keys.ts';
import { advanceRollout, type RolloutEvent } from '../rollout.ts';
import { getRollout, ItemTooLarge, putSiteSummaries, type StoredRollout, saveRollout } from '../rollout-store.ts';
import { approvalDigest, type CandidateSource, planSites } from './plan.ts';
import type { PlanStore } from './plan-store.ts';
import { readOnce } from './read-once.ts';
import { Ineligibility } from './selection.ts';
import { type SiteSummary, summaryOf } from './site-summary.ts';

/** The planner in the audit trail. */
const actor = 'system:plan-rollout';

/** What is asked for: a plan of the rollout as it is at this version. */
export interface PlanOrder {
  readonly rolloutId: string;
  readonly version: number;
}

/** What planning needs. */
export interface Planner {
  readonly directory: Table;
  readonly plans: PlanStore;
  /** All devices of the sites that the rollout is for. */
  readonly devicesOf: (rollout: StoredRollout) => CandidateSource;
  readonly now: () => Date;
  /** Whether there is time for one more site. */
  readonly hasTime: () => boolean;
}

/** Why there can be no plan, for a person. */
export class PlanImpossible extends Error {
  constructor(words: string) {
    super(words);
    this.name = 'PlanImpossible';
  }
}

/** How planning ended. */
export type PlanEnd =
  | { readonly outcome: 'planned'; readonly sites: number; readonly devices: number; readonly ineligible: number }
  | { readonly outcome: 'failed'; readonly problem: string }
  /** The rollout is at another version: somebody changed it, or the order was carried out already. */
  | { readonly outcome: 'overtaken' };

/**
 * Plans a rollout: the plan of each site goes into the bucket, what it comes to into the table, and last the rollout is
 * planned. What is stored before that is looked at by nobody, and the same order again stores the same, so that a
 * planner that dies is simply followed by another one.
 *
 * @throws whatever went wrong that has nothing to do with the rollout: the order may be carried out again
 */
export async function runPlan(planner: Planner, { rolloutId, version }: PlanOrder): Promise<PlanEnd> {
  const rollout = await getRollout(planner.directory, rolloutId);
  if (rollout?.version !== version || rollout.plan?.state !== 'planning') return { outcome: 'overtaken' };
  try {
    return await plan(planner, rollout);
  } catch (error) {
    if (!(error instanceof PlanImpossible) && !(error instanceof ItemTooLarge)) throw error;
    return fail(planner, rollout, error.message);
  }
}

/** Says that an order cannot be carried out, so that nobody waits for its plan. */
export async function giveUpPlan(planner: Planner, order: PlanOrder, problem: string): Promise<PlanEnd> {
  const rollout = await getRollout(planner.directory, order.rolloutId);
  if (rollout?.version !== order.version || rollout.plan?.state !== 'planning') return { outcome: 'overtaken' };
  return fail(planner, rollout, problem);
}

async function plan(planner: Planner, rollout: StoredRollout): Promise<PlanEnd> {
  const { directory, now } = planner;
  const summaries = await storePlans(planner, rollout);
  const devices = rollout.definition.waves.map((_wave, index) =>
    sum(summaries.map((site) => site.devices[index] ?? 0)),
  );
  const counts = {
    sites: summaries.filter((site) => sum(site.devices) > 0).length,
    devices: sum(devices),
    ineligible: sum(summaries.flatMap((site) => Object.values(site.ineligible))),
  };
  const at = now();
  const event: RolloutEvent = { kind: 'planned', digest: approvalDigest(rollout.definition, summaries), devices };
  const next = advanceRollout(rollout, event, rollout.version, at.getTime());
  if (!next.ok) throw new PlanImpossible(counts.devices === 0 ? nobody(summaries) : next.reason);
  if (!(await putSiteSummaries(directory, rollout.id, rollout.version, summaries))) return { outcome: 'overtaken' };
  const record = changeRecord(rollout, next.value, event, { actor }, at);
  const saved = await saveRollout(directory, rollout, { ...next.value, plan: { state: 'done', ...counts } }, [record]);
  return saved ? { outcome: 'planned', ...counts } : { outcome: 'overtaken' };
}

/** Plans site by site; a site of which nobody is selected leaves nothing. */
async function storePlans(planner: Planner, rollout: StoredRollout): Promise<SiteSummary[]> {
  const { artifact, selection, waves, order } = rollout.definition;
  const request = { rolloutId: rollout.id, selection, target: artifact.version, waves, order };
  const summaries: SiteSummary[] = [];
  for await (const site of planSites(request, readOnce(timed(planner, planner.devicesOf(rollout))))) {
    if (site.ineligible.length === 0 && site.waves.every((devices) => devices.length === 0)) continue;
    await planner.plans.put(rollout.id, site);
    summaries.push(summaryOf(rollout.id, site));
  }
  return summaries;
}

/** The same devices, as long as there is time to read them. */
const timed = ({ hasTime }: Planner, source: CandidateSource): CandidateSource =>
  async function* read() {
    for await (const device of source()) {
      if (!hasTime()) throw new PlanImpossible('There are too many devices for one plan. Select fewer sites.');
      yield device;
    }
  };

function nobody(summaries: readonly SiteSummary[]): string {
  const reasons = Object.values(Ineligibility)
    .map((reason) => ({ reason, devices: sum(summaries.map(({ ineligible }) => ineligible[reason])) }))
    .filter(({ devices }) => devices > 0)
    .map(({ reason, devices }) => `${devices} ${reason}`);
  return reasons.length === 0
    ? 'No device is selected. Look at the selection: all that it says must hold.'
    : `Devices are selected, but none of them can take part: ${reasons.join(', ')}.`;
}

async function fail({ directory, now }: Planner, rollout: StoredRollout, problem: string): Promise<PlanEnd> {
  const record = auditRecord(
    rolloutPartition(rollout.id),
    {
      actor,
      action: 'PlanRollout',
      resource: `rollout/${rollout.id}`,
      outcome: AuditOutcome.Refused,
      reason: problem,
      before: { state: rollout.state },
      after: { state: rollout.state },
    },
    now(),
  );
  const after: StoredRollout = {
    ...rollout,
    plan: { state: 'failed', problem, sites: 0, devices: 0, ineligible: 0 },
    version: rollout.version + 1,
  };
  return (await saveRollout(directory, rollout, after, [record]))
    ? { outcome: 'failed', problem }
    : { outcome: 'overtaken' };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
