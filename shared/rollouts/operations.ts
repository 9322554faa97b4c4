import * as v from 'valibot';
import { DeviceClass } from '../devices/device.ts';
import { PageQuery, pageEntries, pageOf } from '../http/page.ts';
import { RolloutInput } from './definition.ts';
import { DeferralReason } from './executions/deferral.ts';
import { GateReason } from './gate/gate.ts';
import { Verdict } from './gate/sprt.ts';
import { Ineligibility } from './plan/selection.ts';

const tag = 'Rollouts';
const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.integer());
const share = v.pipe(v.number(), v.description('0 to 1'));
const counts = (description: string) => v.pipe(v.record(v.string(), count), v.description(description));
const words = v.pipe(v.string(), v.description('Explanation in one or two sentences'));

/** States of a rollout, as they are stored. */
const states = [
  'draft',
  'planned',
  'awaiting-approval',
  'scheduled',
  'running',
  'soaking',
  'completed',
  'paused',
  'aborting',
  'aborted',
  'rolling-back',
  'rolled-back',
  'rollback-partial',
  'rejected',
  'expired',
  'superseded',
] as const;

const waveStates = ['pending', 'window-wait', 'admitting', 'baking', 'promoted', 'held', 'failed', 'skipped'] as const;

/** States of a device's execution. */
export const executionStates = [
  'planned',
  'queued',
  'deferred',
  'staged',
  'armed',
  'activating',
  'verifying',
  'succeeded',
  'failed',
  'timed-out',
  'rejected',
  'rolled-back',
  'cancelled',
  'ineligible',
] as const;

const TallyView = v.object({ success: count, failure: count });

const Observed = v.object({ affected: count, watched: count });

/** What the gate of a wave has seen and what it misses. */
export const GateView = v.object({
  verdict: v.picklist(Object.values(Verdict)),
  reason: v.picklist(Object.values(GateReason)),
  words,
  seen: v.pipe(TallyView, v.description('Devices of this wave that succeeded and that failed')),
  silence: v.pipe(TallyView, v.description('Devices of this wave that reported in time and that did not')),
  allWaves: v.pipe(TallyView, v.description('`seen` over all waves so far')),
  interval: v.pipe(
    v.object({ low: share, high: share }),
    v.description('Share of failures in this wave, 95 % interval (Wilson). Informational: the gate does not use it'),
  ),
  looksFor: v.pipe(share, v.description('The share of failures that the evidence must exclude')),
  missing: v.pipe(
    v.object({ comeThrough: count, report: count }),
    v.description('How many more devices must succeed, and report in time, without another failure'),
  ),
  failuresToStop: v.pipe(count, v.description('How many failures in a row would stop the wave')),
  position: v.pipe(v.number(), v.description('Position between the bounds of the test: 0 promotes, 1 stops')),
  strata: v.array(
    v.object({
      stratum: v.string(),
      success: count,
      failure: count,
      silent: v.pipe(count, v.description('Activated, but did not report in time')),
      stops: v.boolean(),
    }),
  ),
  control: v.pipe(
    v.array(v.object({ stratum: v.string(), updated: Observed, notYet: Observed, chance: share })),
    v.description('Strata in which updated devices lose their connection more often than the others'),
  ),
});

const Counts = {
  states: counts('Devices by state'),
  waiting: counts('Waiting devices by reason'),
  ineligible: counts('Ineligible devices by reason'),
  unfetched: counts(
    'Devices that could not download the artifact, by reason: `download` or `space`. The gate does not count them as failures',
  ),
};

const WaveView = v.object({
  name: v.string(),
  devices: v.pipe(count, v.description('Devices planned for the wave')),
  state: v.picklist(waveStates),
  words,
  since: v.optional(time),
  openedAt: v.optional(time),
  opensAt: v.optional(v.pipe(time, v.description('When the first window of its places opens'))),
  bakeUntil: v.optional(v.pipe(time, v.description('Set once the evidence first sufficed'))),
  ...Counts,
  planned: v.pipe(count, v.description('Devices not contacted yet')),
  gate: v.optional(v.pipe(GateView, v.description('Absent before the wave starts'))),
  cleanExcludes: v.pipe(
    share,
    v.description('Share of all devices that may still fail even if none in this wave does (95 % confidence)'),
  ),
});

const PlanStateView = v.object({
  state: v.picklist(['planning', 'done', 'failed']),
  problem: v.optional(v.string()),
  sites: count,
  devices: count,
  ineligible: count,
});

/** A rollout with its progress, as the API shows it. */
export const RolloutView = v.object({
  id: v.string(),
  state: v.picklist(states),
  since: time,
  words,
  definition: RolloutInput,
  digest: v.optional(v.pipe(v.string(), v.description('Digest of the plan. Send it to approve'))),
  createdBy: v.string(),
  createdAt: time,
  submittedBy: v.optional(v.string()),
  approvedBy: v.optional(v.string()),
  approveUntil: v.optional(time),
  plan: v.optional(PlanStateView),
  paused: v.optional(
    v.object({
      by: v.picklist(['operator', 'gate', 'safety', 'freeze']),
      words: v.string(),
      from: v.picklist(['running', 'soaking']),
    }),
  ),
  stopped: v.optional(v.pipe(v.string(), v.description('Why a gate or a safety event stopped it permanently'))),
  skippedSites: v.array(v.string()),
  soakUntil: v.optional(v.pipe(time, v.description('When the watch after its last wave ends'))),
  waves: v.array(WaveView),
  counts: v.pipe(v.object(Counts), v.description('Totals over all waves')),
  back: v.optional(v.pipe(v.object(Counts), v.description('Devices being rolled back'))),
});

/** A rollout in a list. */
export const RolloutSummary = v.object({
  id: v.string(),
  name: v.string(),
  artifact: v.object({ kind: v.string(), name: v.string(), version: v.string() }),
  state: v.picklist(states),
  since: time,
  words,
  createdBy: v.string(),
  createdAt: time,
  stopped: v.optional(v.string()),
  waves: v.array(v.object({ name: v.string(), devices: count, state: v.picklist(waveStates) })),
});

const PlanUnit = v.object({
  wave: count,
  unitId: v.string(),
  class: v.picklist(Object.values(DeviceClass)),
  devices: v.pipe(count, v.description('Devices of the class in the unit that this wave takes')),
  inUnit: v.pipe(count, v.description('All enrolled devices of the class in the unit')),
  keep: v.optional(v.pipe(count, v.description("The unit's `spares`: the minimum that must stay in service"))),
  sparesBefore: v.pipe(count, v.description('How many devices of the class the unit can spare at once')),
  sparesAfter: v.pipe(count, v.description('How many it can still spare while `atOnce` are being updated')),
  atOnce: v.pipe(count, v.description('Maximum number out of service at once')),
  canSpare: v.pipe(v.boolean(), v.description('If false, none of them can be updated as things stand')),
  opensAt: v.optional(v.pipe(time, v.description('When its window opens, or now; absent if it never does'))),
  words,
});

/** What a plan means. */
export const PlanView = v.object({
  rolloutId: v.string(),
  state: v.picklist(['planning', 'done', 'failed']),
  problem: v.optional(v.string()),
  digest: v.optional(v.string()),
  waves: v.array(
    v.object({
      name: v.string(),
      devices: count,
      sites: count,
      units: count,
      unitsThatCanSpareNone: count,
      firstWindow: v.optional(time),
      bakeHours: v.number(),
      looksFor: share,
      cleanDevicesToPromote: v.pipe(
        count,
        v.description('How many devices without a failure are enough to promote the wave'),
      ),
      cleanExcludes: share,
      words,
    }),
  ),
  ineligible: counts('Selected but ineligible devices by reason'),
  sites: v.array(
    v.object({
      siteId: v.pipe(v.string(), v.description('Empty for devices without a site')),
      digest: v.string(),
      devices: v.pipe(v.array(count), v.description('Number of devices by wave')),
      ineligible: counts('Selected but ineligible devices by reason'),
      units: v.array(PlanUnit),
    }),
  ),
});

/** A device in the plan of a site. */
export const PlanEntryView = v.object({
  deviceId: v.string(),
  wave: v.optional(v.pipe(count, v.description('Absent for an ineligible device'))),
  rank: v.optional(v.pipe(count, v.description("Position among the site's devices in the wave, from 0"))),
  unitId: v.optional(v.string()),
  class: v.optional(v.picklist(Object.values(DeviceClass))),
  stratum: v.optional(v.pipe(v.string(), v.description('`<hardware revision>/<unit type>`'))),
  ineligible: v.optional(v.picklist(Object.values(Ineligibility))),
  words: v.optional(v.pipe(v.string(), v.description('Why it is ineligible'))),
});

/** A device of a rollout. */
export const ExecutionView = v.object({
  deviceId: v.string(),
  siteId: v.string(),
  unitId: v.string(),
  class: v.picklist(Object.values(DeviceClass)),
  wave: count,
  rank: count,
  direction: v.picklist(['forward', 'back']),
  state: v.picklist(executionStates),
  since: time,
  outOfService: v.pipe(v.boolean(), v.description('Taken out of service in its unit, and not known to be back')),
  commandId: v.optional(v.string()),
  words: v.pipe(v.string(), v.description('Where it stands and, if it waits, what for')),
  reason: v.optional(v.pipe(v.picklist(Object.values(DeferralReason)), v.description('Why it waits'))),
  until: v.optional(
    v.pipe(time, v.description('When it is re-evaluated or given up at the latest. Absent only in a final state')),
  ),
});

/** A line of the timeline. */
export const TimelineView = v.object({
  id: v.string(),
  at: time,
  actor: v.pipe(v.string(), v.description('`user:<sub>` or `system:<function>`')),
  action: v.string(),
  words,
});

const why = v.pipe(v.string(), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(500));
const id = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,79}$/, 'must be an id'));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be the digest of the plan'));
const Reason = v.strictObject({ reason: why });

const after = (description: string) => ({ status: 200, description, schema: RolloutView, etag: true }) as const;

/** Most entries of a page of a plan: a site has thousands of devices. */
export const largestPlanPage = 1_000;

/** The operations on rollouts. */
export const rolloutOperations = {
  listRollouts: {
    summary: 'List rollouts',
    description:
      'Newest first. Only rollouts that concern a site of the caller; a page may hold fewer than `limit` and still have a `next`.',
    tag,
    query: v.strictObject({ ...pageEntries, state: v.optional(v.picklist(states)) }),
    answer: { status: 200, description: 'A page of rollouts', schema: pageOf(RolloutSummary) },
  },
  createRollout: {
    summary: 'Create a rollout',
    description:
      'Creates a draft; no device is touched. Then `…/plan`, review the plan, `…/submit`, approval by another person, `…/start`.',
    tag,
    body: RolloutInput,
    idempotencyKey: true,
    answer: { status: 201, description: 'The draft', schema: RolloutView, etag: true, location: true },
    problems: [409],
  },
  getRollout: {
    summary: 'Get a rollout',
    description:
      'With its progress: for each wave, what its gate has seen, its verdict, and the evidence it still lacks. Counts may lag by about a second.',
    tag,
    answer: { status: 200, description: 'The rollout', schema: RolloutView, etag: true },
  },
  updateRollout: {
    summary: 'Update a rollout',
    description:
      'Replaces the definition of a rollout that has not started. Discards plan and approval: it becomes a draft again.',
    tag,
    body: RolloutInput,
    conditional: true,
    answer: { status: 200, description: 'The draft', schema: RolloutView, etag: true },
    problems: [409],
  },
  planRollout: {
    summary: 'Plan a rollout',
    description: 'Assigns devices to waves as the devices are now. Runs in the background, for seconds to minutes.',
    tag,
    answer: {
      status: 202,
      description: 'Planning; see `plan.state`',
      schema: RolloutView,
      etag: true,
    },
    problems: [409],
  },
  getRolloutPlan: {
    summary: 'Get the plan of a rollout',
    description:
      'For each wave: sites, units and what they can spare, the first window, and what the wave can prove. Ineligible devices are counted by reason.',
    tag,
    answer: { status: 200, description: 'The plan', schema: PlanView },
    problems: [409],
  },
  getSitePlan: {
    summary: 'List the planned devices of a site',
    description: 'Wave by wave in order of admission, then ineligible devices with the reason.',
    tag,
    query: v.strictObject({
      cursor: pageEntries.cursor,
      limit: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^\d{1,4}$/, 'must be a number'),
          v.description(`Maximum number of devices, 1 to ${largestPlanPage}; default 100`),
          v.toNumber(),
          v.minValue(1, 'must be at least 1'),
          v.maxValue(largestPlanPage, `must be at most ${largestPlanPage}`),
        ),
        '100',
      ),
      show: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^(\d{1,2}|ineligible)$/, 'must be the number of a wave, or "ineligible"'),
          v.description('Only this wave (from 0), or only `ineligible` devices'),
        ),
      ),
    }),
    answer: { status: 200, description: 'A page of devices', schema: pageOf(PlanEntryView) },
    problems: [409],
  },
  submitRollout: {
    summary: 'Submit a rollout for approval',
    description:
      'Requires a multi-factor sign-in within the last 15 minutes. Another person has three days to approve the plan.',
    tag,
    answer: after('Waiting for approval'),
    problems: [409],
  },
  approveRollout: {
    summary: 'Approve a rollout',
    description:
      'The approver must have neither created nor submitted it, and needs a multi-factor sign-in within the last 15 minutes and a role that covers its devices. `digest` must match the plan that was reviewed.',
    tag,
    body: v.strictObject({ digest }),
    answer: after('Approved, ready to start'),
    problems: [409],
  },
  rejectRollout: {
    summary: 'Reject a rollout',
    description: 'Open to any operator at one of its sites. It can no longer be approved; clone it to start over.',
    tag,
    body: Reason,
    answer: after('Rejected'),
    problems: [409],
  },
  startRollout: {
    summary: 'Start an approved rollout',
    description: 'Begins its first wave. Repeating the call changes nothing, or resumes a start that was interrupted.',
    tag,
    answer: after('Running'),
    problems: [409],
  },
  pauseRollout: {
    summary: 'Pause a rollout',
    description:
      'Open to any operator at one of its sites, without a second factor. No more devices are admitted from the next check on; activations under way finish.',
    tag,
    body: Reason,
    answer: after('Paused'),
    problems: [409],
  },
  resumeRollout: {
    summary: 'Resume a rollout',
    description: 'Not if a gate or a safety event stopped it: such a rollout never goes forward again.',
    tag,
    answer: after('Running'),
    problems: [409],
  },
  skipRolloutSite: {
    summary: 'Skip a site',
    description: 'Admits no more devices there. Open to any operator at that site.',
    tag,
    body: v.strictObject({ siteId: id, reason: why }),
    answer: after('The site is skipped'),
    problems: [409],
  },
  promoteWave: {
    summary: 'Promote a wave manually',
    description:
      'A person takes responsibility where the evidence does not suffice: the wave is too small to prove anything, or a finding has been explained. Requires a multi-factor sign-in within the last 15 minutes and a reason. Not before its bake is over.',
    tag,
    body: v.strictObject({
      wave: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(19), v.description('Number of the wave, from 0')),
      reason: why,
    }),
    answer: after('The wave is promoted'),
    problems: [409],
  },
  abortRollout: {
    summary: 'Abort a rollout',
    description:
      'Permanent. Open to any operator at one of its sites. Cancels what is not activated yet; never interrupts an activation.',
    tag,
    body: Reason,
    answer: after('Aborting'),
    problems: [409],
  },
  rollBackRollout: {
    summary: 'Roll back a rollout',
    description:
      'Returns devices to the previous version, under the same spares, windows and interlock. Requires a multi-factor sign-in within the last 15 minutes.',
    tag,
    body: Reason,
    answer: after('Rolling back'),
    problems: [409],
  },
  cloneRollout: {
    summary: 'Clone a rollout',
    description: 'Creates a draft with the same definition, without plan, approval or history.',
    tag,
    idempotencyKey: true,
    answer: { status: 201, description: 'The draft', schema: RolloutView, etag: true, location: true },
    problems: [409],
  },
  reportSafetyEvent: {
    summary: 'Report a safety event',
    description:
      'A device of the rollout caused harm, or could have. Open to any operator at the site of the device, without a second factor. One report stops the rollout at once and permanently; if its `onStop` is `roll-back`, it rolls back.',
    tag,
    body: v.strictObject({
      deviceId: id,
      kind: v.picklist(['not-returned-to-service', 'alarm-path-lost', 'harm-reported']),
      words: v.pipe(why, v.description('What happened. No patient data: it is kept in the audit trail')),
    }),
    answer: after('Stopped'),
    problems: [409],
  },
  listRolloutDevices: {
    summary: 'List the devices of a rollout',
    description:
      'Devices that were told to download, and those that were ineligible when their turn came; for the others see the plan. Every waiting device says why and until when. Only devices at sites that the caller may read; a page may hold fewer than `limit` and still have a `next`.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      site: v.optional(v.pipe(id, v.description('Only this site'))),
      state: v.optional(v.picklist(executionStates)),
    }),
    answer: { status: 200, description: 'A page of devices', schema: pageOf(ExecutionView) },
  },
  returnRolloutDevice: {
    summary: 'Return a device to service',
    description:
      'A device that failed or fell silent after its activation is out of service in its unit, and uses up one of its spares, until it is seen to work. With this call a person who checked it confirms that it works, or that the unit need not count on it, even after the rollout has ended and after a safety event. Open to anyone who may run rollouts of its class at its site. The outcome of the update does not change.',
    tag,
    body: v.strictObject({
      reason: v.pipe(why, v.description('What was found. No patient data: it is kept in the audit trail')),
    }),
    answer: { status: 200, description: 'The device, no longer out of service', schema: ExecutionView },
    problems: [409],
  },
  listRolloutTimeline: {
    summary: 'List the timeline of a rollout',
    description:
      'Newest first. The audit trail of the rollout in sentences: what people did, what gates decided and why. Entries about sites that the caller may not read are omitted or do not name the site; a page may hold fewer than `limit` and still have a `next`.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of the timeline', schema: pageOf(TimelineView) },
  },
} as const;
