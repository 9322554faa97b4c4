import { type ProblemError, problems } from '../http/problem.ts';
import type { Outcome } from './executions/outcome.ts';
import { RefusalKind } from './executions/outcome.ts';
import { type Rollout, type RolloutEvent, rolloutOrigins } from './rollout.ts';
import type { PlanState, StoredRollout } from './rollout-store.ts';

/** What people do with a rollout: everything that does not happen by itself. */
export type Deed = Extract<
  RolloutEvent['kind'],
  | 'edit'
  | 'planned'
  | 'submit'
  | 'approve'
  | 'reject'
  | 'start'
  | 'pause'
  | 'resume'
  | 'skip-site'
  | 'wave'
  | 'safety'
  | 'abort'
  | 'roll-back'
>;

/** A plan may be approved for this long, hours: people of all shifts have a chance to look at it. */
export const approvalHours = 72;

const participles: Readonly<Record<Deed, string>> = {
  edit: 'changed',
  planned: 'planned',
  submit: 'submitted',
  approve: 'approved',
  reject: 'refused',
  start: 'started',
  pause: 'paused',
  resume: 'resumed',
  'skip-site': 'changed in its sites',
  wave: 'promoted',
  safety: 'stopped',
  abort: 'aborted',
  'roll-back': 'rolled back',
};

/**
 * The answer to somebody whose deed was refused: 409 with a sentence, and the state. A conflict is not answered, it is
 * tried again.
 */
export function refusalOf(
  rollout: Rollout,
  deed: Deed,
  outcome: Extract<Outcome<unknown>, { readonly ok: false }>,
): ProblemError {
  const members = { state: rollout.state };
  if (outcome.kind === RefusalKind.NotAllowed) return problems.conflict(outcome.reason, members);
  const from = rolloutOrigins[deed];
  // It is in the right state itself: a wave, or the pause, is not.
  if (from.includes(rollout.state)) return problems.conflict(sentence(outcome.reason), members);
  return problems.conflict(
    `The rollout is ${rollout.state} and cannot be ${participles[deed]}; that is possible while it is ${listOf(from)}.`,
    members,
  );
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const listOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

/** The rollout, while it is being planned. An earlier plan stays until the new one is there. */
export function planningOf(rollout: StoredRollout): StoredRollout & { readonly plan: PlanState } {
  if (!rolloutOrigins.planned.includes(rollout.state)) {
    throw refusalOf(rollout, 'planned', { ok: false, kind: RefusalKind.NotFromHere, reason: '' });
  }
  return {
    ...rollout,
    plan: { state: 'planning', sites: 0, devices: 0, ineligible: 0 },
    version: rollout.version + 1,
  };
}

/** @throws ProblemError 409 while another plan is made: what is submitted would not be what anybody saw */
export function assertPlanned({ plan, state }: StoredRollout): void {
  if (plan?.state !== 'planning') return;
  throw problems.conflict('It is being planned. Wait for the plan, look at it, then submit it.', { state });
}

/** @throws ProblemError 409 before its bake is over, with the time in words: a person does not shorten it (R10) */
export function assertBaked(rollout: Rollout, wave: number, bakeUntil: number, now: number): void {
  if (now >= bakeUntil) return;
  const until = new Date(bakeUntil).toISOString();
  throw problems.conflict(`"${rollout.waves[wave]?.name}" bakes until ${until}; nobody promotes it before.`, {
    state: rollout.state,
    until,
  });
}
