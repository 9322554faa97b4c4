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
const words = v.pipe(v.string(), v.description('For people: one or two sentences'));

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
  seen: v.pipe(TallyView, v.description('Devices of this wave that came through, and that failed')),
  silence: v.pipe(TallyView, v.description('Devices of this wave that reported in time, and that did not')),
  allWaves: v.pipe(TallyView, v.description('`seen` of all waves until now')),
  interval: v.pipe(
    v.object({ low: share, high: share }),
    v.description('Share of failures of this wave, 95 % interval (Wilson). Nothing is decided by it'),
  ),
  looksFor: v.pipe(share, v.description('The share of failures that must be excluded')),
  missing: v.pipe(
    v.object({ comeThrough: count, report: count }),
    v.description('Devices that must still come through, and report in time, without another failure'),
  ),
  failuresToStop: v.pipe(count, v.description('So many failures in a row stop it')),
  position: v.pipe(v.number(), v.description('Between the bounds of the test: 0 promotes, 1 stops')),
  strata: v.array(
    v.object({
      stratum: v.string(),
      success: count,
      failure: count,
      silent: v.pipe(count, v.description('Were activated, and did not report in time')),
      stops: v.boolean(),
    }),
  ),
  control: v.pipe(
    v.array(v.object({ stratum: v.string(), updated: Observed, notYet: Observed, chance: share })),
    v.description('Where updated devices lose their connection more often than others of the same stratum'),
  ),
});

const Counts = {
  states: counts('Devices by state'),
  waiting: counts('Devices that wait, by what they wait for'),
  ineligible: counts('Devices that take no part, by why'),
  unfetched: counts(
    'Devices that could not fetch it, by why: `download` or `space`. The gate does not hold it against the artifact',
  ),
};

const WaveView = v.object({
  name: v.string(),
  devices: v.pipe(count, v.description('How many are planned for it')),
  state: v.picklist(waveStates),
  words,
  since: v.optional(time),
  openedAt: v.optional(time),
  opensAt: v.optional(v.pipe(time, v.description('When the first of its places opens'))),
  bakeUntil: v.optional(v.pipe(time, v.description('Set when the evidence was enough for the first time'))),
  ...Counts,
  planned: v.pipe(count, v.description('Devices that nobody has told anything yet')),
  gate: v.optional(v.pipe(GateView, v.description('Missing before the wave begins'))),
  cleanExcludes: v.pipe(
    share,
    v.description('If none of its devices fails, so many of all may still fail (95 % confidence)'),
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
  digest: v.optional(v.pipe(v.string(), v.description('Of the plan. Send it when you approve'))),
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
  stopped: v.optional(v.pipe(v.string(), v.description('Why a gate or a safety event stopped it, for good'))),
  skippedSites: v.array(v.string()),
  soakUntil: v.optional(v.pipe(time, v.description('Until when it is watched after its last wave'))),
  waves: v.array(WaveView),
  counts: v.pipe(v.object(Counts), v.description('Of all waves')),
  back: v.optional(v.pipe(v.object(Counts), v.description('Of devices on their way back'))),
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
  devices: v.pipe(count, v.description('Of the class in the unit that this wave takes')),
  inUnit: v.pipe(count, v.description('All of the class that are enrolled in the unit')),
  keep: v.optional(v.pipe(count, v.description('`spares` of the unit: the least number that must stay in service'))),
  sparesBefore: v.pipe(count, v.description('How many of the class the unit can spare at once')),
  sparesAfter: v.pipe(count, v.description('What is left of it while as many as possible are being updated')),
  atOnce: v.pipe(count, v.description('How many of them are out of service at once, at most')),
  canSpare: v.pipe(v.boolean(), v.description('False: as things are, none of them is ever let in')),
  opensAt: v.optional(v.pipe(time, v.description('When its window opens, or now; missing when it never does'))),
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
      cleanDevicesToPromote: v.pipe(count, v.description('So many without a failure promote it by themselves')),
      cleanExcludes: share,
      words,
    }),
  ),
  ineligible: counts('Selected devices that take no part, by why'),
  sites: v.array(
    v.object({
      siteId: v.pipe(v.string(), v.description('Empty for devices that stand at no site')),
      digest: v.string(),
      devices: v.pipe(v.array(count), v.description('By wave')),
      ineligible: counts('Selected devices that take no part, by why'),
      units: v.array(PlanUnit),
    }),
  ),
});

/** A device in the plan of a site. */
export const PlanEntryView = v.object({
  deviceId: v.string(),
  wave: v.optional(v.pipe(count, v.description('Missing for one that takes no part'))),
  rank: v.optional(v.pipe(count, v.description("Its place among the site's devices of the wave, from 0"))),
  unitId: v.optional(v.string()),
  class: v.optional(v.picklist(Object.values(DeviceClass))),
  stratum: v.optional(v.pipe(v.string(), v.description('`<hardware revision>/<unit type>`'))),
  ineligible: v.optional(v.picklist(Object.values(Ineligibility))),
  words: v.optional(v.pipe(v.string(), v.description('Why it takes no part'))),
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
  outOfService: v.pipe(v.boolean(), v.description('Taken away from the unit, and not known to be back')),
  commandId: v.optional(v.string()),
  words: v.pipe(v.string(), v.description('Where it is; when it waits, what for')),
  reason: v.optional(v.pipe(v.picklist(Object.values(DeferralReason)), v.description('What it waits for'))),
  until: v.optional(
    v.pipe(time, v.description('When it is looked at again, or given up, at the latest. Missing at its end only')),
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
      'The newest first. Only those that concern a site of the caller; a page can hold fewer than `limit` and still have a next one.',
    tag,
    query: v.strictObject({ ...pageEntries, state: v.optional(v.picklist(states)) }),
    answer: { status: 200, description: 'A page of rollouts', schema: pageOf(RolloutSummary) },
  },
  createRollout: {
    summary: 'Make a draft',
    description:
      'Nothing happens to any device. Next: `…/plan`, look at the plan, `…/submit`, approval by another person, `…/start`.',
    tag,
    body: RolloutInput,
    idempotencyKey: true,
    answer: { status: 201, description: 'The draft', schema: RolloutView, etag: true, location: true },
    problems: [409],
  },
  getRollout: {
    summary: 'Read a rollout with its progress',
    description:
      'For each wave: what its gate has seen, what it says, and what it misses. Counts are exact to the second, not to the moment.',
    tag,
    answer: { status: 200, description: 'The rollout', schema: RolloutView, etag: true },
  },
  updateRollout: {
    summary: 'Change a rollout that has not begun',
    description: 'The whole definition. Plan and approval are void: it is a draft again.',
    tag,
    body: RolloutInput,
    conditional: true,
    answer: { status: 200, description: 'The draft', schema: RolloutView, etag: true },
    problems: [409],
  },
  planRollout: {
    summary: 'Plan a rollout',
    description: 'Decides which devices come in which wave, by the devices as they are now. Takes seconds to minutes.',
    tag,
    answer: {
      status: 202,
      description: 'Being planned; `plan.state` says how far it is',
      schema: RolloutView,
      etag: true,
    },
    problems: [409],
  },
  getRolloutPlan: {
    summary: 'Read what the plan means',
    description:
      'Wave by wave: sites, units with what they can spare, first window, and what the wave can prove. Devices that take no part are counted by why.',
    tag,
    answer: { status: 200, description: 'The plan', schema: PlanView },
    problems: [409],
  },
  getSitePlan: {
    summary: 'Read exactly which devices of a site come, wave by wave',
    description: 'In the order of admission, then those that take no part, with why.',
    tag,
    query: v.strictObject({
      cursor: pageEntries.cursor,
      limit: v.optional(
        v.pipe(
          v.string(),
          v.regex(/^\d{1,4}$/, 'must be a number'),
          v.description(`Most devices of the page, 1 to ${largestPlanPage}`),
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
          v.description('Only this wave (from 0), or only `ineligible`'),
        ),
      ),
    }),
    answer: { status: 200, description: 'A page of devices', schema: pageOf(PlanEntryView) },
    problems: [409],
  },
  submitRollout: {
    summary: 'Ask for the approval of the plan',
    description: 'Needs a fresh second factor. Another person has three days to approve.',
    tag,
    answer: after('Waits for approval'),
    problems: [409],
  },
  approveRollout: {
    summary: 'Be the second person',
    description:
      'Neither who made nor who submitted it, with a fresh second factor and a role that fits its devices. `digest` must be that of the plan that you looked at.',
    tag,
    body: v.strictObject({ digest }),
    answer: after('Approved: it can be started'),
    problems: [409],
  },
  rejectRollout: {
    summary: 'Refuse to approve',
    description: 'Any operator at one of its sites. It cannot be approved any more; clone it to begin anew.',
    tag,
    body: Reason,
    answer: after('Refused'),
    problems: [409],
  },
  startRollout: {
    summary: 'Start an approved rollout',
    description: 'Its first wave begins. Sending it again changes nothing, and repairs a start that was interrupted.',
    tag,
    answer: after('Running'),
    problems: [409],
  },
  pauseRollout: {
    summary: 'Pause',
    description:
      'Any operator at one of its sites, without a second factor. No device is let in from the next look on; what is being activated is finished.',
    tag,
    body: Reason,
    answer: after('Paused'),
    problems: [409],
  },
  resumeRollout: {
    summary: 'Go on after a pause',
    description: 'Not when a gate or a safety event stopped it: such a rollout never goes forward again.',
    tag,
    answer: after('Running'),
    problems: [409],
  },
  skipRolloutSite: {
    summary: 'Leave out a site',
    description: 'No device is let in there any more. Any operator of that site.',
    tag,
    body: v.strictObject({ siteId: id, reason: why }),
    answer: after('Without the site'),
    problems: [409],
  },
  promoteWave: {
    summary: 'Promote a wave by hand',
    description:
      'A person takes the responsibility that the evidence does not: for a wave that is too small to prove anything, or a finding that was explained. Needs a fresh second factor and a reason. Not before its bake is over.',
    tag,
    body: v.strictObject({
      wave: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(19), v.description('Its number, from 0')),
      reason: why,
    }),
    answer: after('The wave is promoted'),
    problems: [409],
  },
  abortRollout: {
    summary: 'Abort',
    description:
      'For good. Any operator at one of its sites. What is not activated is withdrawn; an activation is never interrupted.',
    tag,
    body: Reason,
    answer: after('Aborting'),
    problems: [409],
  },
  rollBackRollout: {
    summary: 'Bring the devices back to what they had',
    description: 'Under the same spares, windows and interlock. Needs a fresh second factor.',
    tag,
    body: Reason,
    answer: after('Rolling back'),
    problems: [409],
  },
  cloneRollout: {
    summary: 'Make a draft of the same definition',
    description: 'Without plan, approval or anything that happened.',
    tag,
    idempotencyKey: true,
    answer: { status: 201, description: 'The draft', schema: RolloutView, etag: true, location: true },
    problems: [409],
  },
  reportSafetyEvent: {
    summary: 'Report that a device of the rollout harmed, or could have',
    description:
      'Any operator of the site of the device, without a second factor. One report stops the rollout at once and for good; or it rolls back by itself when it says so.',
    tag,
    body: v.strictObject({
      deviceId: id,
      kind: v.picklist(['not-returned-to-service', 'alarm-path-lost', 'harm-reported']),
      words: v.pipe(why, v.description('What happened. Nothing about a patient: it is kept in the audit trail')),
    }),
    answer: after('Stopped'),
    problems: [409],
  },
  listRolloutDevices: {
    summary: 'List the devices of a rollout',
    description:
      'Those that were told to download, and those that could not take part when it was their turn; the others are in the plan. Every one that waits says why, and until when. Only at sites that the caller may read; a page can hold fewer than `limit` and still have a next one.',
    tag,
    query: v.strictObject({
      ...pageEntries,
      site: v.optional(v.pipe(id, v.description('Only this site'))),
      state: v.optional(v.picklist(executionStates)),
    }),
    answer: { status: 200, description: 'A page of devices', schema: pageOf(ExecutionView) },
  },
  returnRolloutDevice: {
    summary: 'Put a device back into service',
    description:
      'A device that failed or fell silent after its activation is missing in its unit, and takes one of its spares, until it is seen to work. Here a person who looked at it says that it works, or that the unit need not count on it: also when the rollout is over, and after a safety event. Whoever runs rollouts of its class at its site. What became of the update stays as it is.',
    tag,
    body: v.strictObject({
      reason: v.pipe(why, v.description('What was found. Nothing about a patient: it is kept in the audit trail')),
    }),
    answer: { status: 200, description: 'The device, not out of service any more', schema: ExecutionView },
    problems: [409],
  },
  listRolloutTimeline: {
    summary: 'What happened to a rollout, newest first',
    description:
      'The audit trail of the rollout as sentences: what people did, and what gates decided and why. What happened at sites that the caller may not look at is left out, or told without the site; a page can hold fewer than `limit` and still have a next one.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of the timeline', schema: pageOf(TimelineView) },
  },
} as const;
