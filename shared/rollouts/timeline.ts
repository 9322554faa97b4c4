import * as v from 'valibot';
import type { AuditRecord } from '../audit/record.ts';
import { type ReadsSite, withoutOtherSites } from './visible.ts';

/** One line of a rollout's timeline. */
export interface TimelineEntry {
  readonly id: string;
  readonly at: string;
  /** `user:<sub>` or `system:<function>` */
  readonly actor: string;
  readonly action: string;
  /** One or two sentences. */
  readonly words: string;
}

/** Of what changed, what sentences are made of; anything of another shape is left out of them. */
const Facts = v.object({
  state: v.fallback(v.optional(v.string()), undefined),
  name: v.fallback(v.optional(v.string()), undefined),
  artifact: v.fallback(v.optional(v.string()), undefined),
  site: v.fallback(v.optional(v.string()), undefined),
  deviceId: v.fallback(v.optional(v.string()), undefined),
  kind: v.fallback(v.optional(v.string()), undefined),
  words: v.fallback(v.optional(v.string()), undefined),
  approveUntil: v.fallback(v.optional(v.string()), undefined),
  devices: v.fallback(v.optional(v.array(v.number())), undefined),
  failed: v.fallback(v.optional(v.number()), undefined),
  clonedFrom: v.fallback(v.optional(v.string()), undefined),
  waves: v.fallback(
    v.array(
      v.object({
        name: v.string(),
        state: v.string(),
        words: v.optional(v.string()),
        until: v.optional(v.string()),
      }),
    ),
    [],
  ),
});
type Facts = v.InferOutput<typeof Facts>;

/** What was done, without the actor; the state that it led to is said by the sentences on waves and states. */
const deeds: Readonly<Record<string, (facts: Facts, before: Facts) => string>> = {
  CreateRollout: ({ name = '', artifact = '', clonedFrom }) =>
    `made the draft "${name}" of ${artifact}${clonedFrom === undefined ? '' : ` after ${clonedFrom}`}`,
  EditRollout: ({ name = '' }) => `changed it to "${name}"; plan and approval are void`,
  RequestPlan: () => 'asked for a plan',
  PlanRollout: ({ devices = [] }) =>
    `planned ${devices.reduce((sum, each) => sum + each, 0)} devices in ${devices.filter((each) => each > 0).length} waves`,
  FailPlan: ({ words = '' }) => `could not plan it: ${words}`,
  SubmitRollout: ({ approveUntil = '' }) => `submitted it; another person must approve it until ${approveUntil}`,
  ApproveRollout: () => 'approved the plan',
  RejectRollout: () => 'refused it',
  ExpireRollout: () => 'found that nobody approved or started it in time',
  StartRollout: () => 'started it',
  PauseRollout: ({ words = '' }) => `paused it: ${words}`,
  ResumeRollout: () => 'resumed it',
  SkipSite: ({ site = '' }) => `left out site ${site}`,
  PromoteWave: () => 'promoted a wave by hand',
  JudgeWave: () => 'judged the wave',
  StopPromoted: ({ words = '' }) => `stopped it: ${words}`,
  SkipWave: () => 'found that all sites of a wave are left out',
  WaitForWindow: () => 'found all places of the wave closed',
  OpenWindow: () => 'found a place of the wave open',
  ReportSafetyEvent: ({ deviceId = '', kind = '' }) => `reported of ${deviceId}: ${kind}`,
  ReturnDevice: ({ deviceId = '' }) => `put ${deviceId} back into service`,
  CompleteRollout: () => 'completed it',
  AbortRollout: () => 'aborted it; what is being activated is finished first',
  SettleRollout: () => 'found that all activations are finished',
  RollBackRollout: () => 'began the way back',
  FinishRollBack: ({ failed = 0 }) =>
    failed === 0 ? 'found all devices back' : `found that ${failed} devices did not get back`,
  SupersedeRollout: () => 'replaced it by a newer one',
};

/** What whoever may not look at a site is told of what was done there: it changes the rollout for all. */
const deedsElsewhere: Readonly<Record<string, string>> = {
  SkipSite: 'left out another site',
  ReportSafetyEvent: 'reported a safety event at another site',
};

/**
 * The record as a line that people read. Attempts that were denied or refused say so.
 *
 * @returns undefined for what happened at a site that the reader may not look at, and changed nothing elsewhere
 */
export function timelineEntry(record: AuditRecord, readsSite: ReadsSite): TimelineEntry | undefined {
  const { id, at, actor, action, siteId, outcome } = record;
  if (siteId === undefined || readsSite(siteId)) {
    return { id, at, actor, action, words: withoutOtherSites(wordsOf(record), readsSite) };
  }
  const deed = outcome === 'allowed' ? deedsElsewhere[action] : undefined;
  return deed === undefined
    ? undefined
    : { id, at, actor, action, words: ended(`${actor} ${deed}`) + stateWords(record) };
}

function wordsOf({ actor, action, outcome, reason, before, after }: AuditRecord): string {
  if (outcome !== 'allowed') {
    return `${actor} tried ${action} and was ${outcome}${reason === undefined ? '.' : `: ${reason}`}`;
  }
  const [was, is] = [v.parse(Facts, before ?? {}), v.parse(Facts, after ?? {})];
  const deed = deeds[action]?.(is, was) ?? action;
  const why = reason === undefined || reason === is.words ? '' : ` Reason: ${ended(reason)}`;
  return `${ended(`${actor} ${deed}`)}${why}${is.waves.map(waveWords).join('')}${stateWords({ before, after })}`;
}

function stateWords({ before, after }: { readonly before?: unknown; readonly after?: unknown }): string {
  const [was, is] = [v.parse(Facts, before ?? {}).state, v.parse(Facts, after ?? {}).state];
  return is !== undefined && was !== undefined && is !== was ? ` It is now ${is}.` : '';
}

const waveWords = ({ name, state, words, until }: Facts['waves'][number]): string =>
  ` Wave "${name}" is ${state}${until === undefined ? '' : ` until ${until}`}${words === undefined ? '.' : `: ${ended(words)}`}`;

const ended = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
