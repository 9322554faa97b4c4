import { setTimeout as pause } from 'node:timers/promises';
import type { WritePart } from '../devices/store.ts';
import { changeRecord } from './change-record.ts';
import { type Engine, engineActor } from './engine.ts';
import { answerWaits } from './machines/answer-waits.ts';
import { advanceRollout, type Rollout, type RolloutEvent } from './rollout.ts';
import { getRollout, type StoredRollout, saveRollout } from './rollout-store.ts';

/** What is to happen to a rollout, and what tells of it. */
export interface WantedChange {
  readonly event: RolloutEvent;
  /** Why, in words, for the audit trail. */
  readonly reason?: string;
  /** What the decision was made on, for the audit trail. */
  readonly grounds?: Readonly<Record<string, unknown>>;
  /** Whether it changes anything that anybody looks at. @default always */
  readonly isNews?: (after: Rollout) => boolean;
  /** Alerts, in the same transaction. */
  readonly parts?: (after: Rollout) => readonly WritePart[];
}

/** Tries while others change the same rollout: each that fails means that somebody else's succeeded. */
const tries = 12;

/**
 * Changes a rollout by a decision of the engine, and answers the state machines that waited for it. Decided anew on
 * what is there when somebody was faster.
 *
 * @param decide gets the rollout as it is, and says what is to happen to it; undefined = nothing
 * @returns the rollout as it is afterwards; undefined when there is none
 */
export async function changeRollout(
  engine: Engine,
  rolloutId: string,
  decide: (rollout: StoredRollout) => Promise<WantedChange | undefined> | WantedChange | undefined,
  now: Date,
): Promise<StoredRollout | undefined> {
  for (let tried = 0; tried < tries; tried += 1) {
    const before = await getRollout(engine.directory, rolloutId);
    if (before === undefined) return undefined;
    const wanted = await decide(before);
    if (wanted === undefined) return before;
    const next = advanceRollout(before, wanted.event, before.version, now.getTime());
    if (!next.ok || wanted.isNews?.(next.value) === false) return before;
    const after: StoredRollout = { ...kept(before), ...next.value };
    if (
      await saveRollout(engine.directory, before, after, [recordOf(before, after, wanted, now)], wanted.parts?.(after))
    ) {
      await answerWaits(engine, after, now);
      return after;
    }
    await pause(Math.random() * Math.min(400, 10 * 2 ** tried));
  }
  throw new Error(`The rollout ${rolloutId} is changed by others all the time.`);
}

/** What a change leaves as it is. */
const kept = ({ createdAt, plan }: StoredRollout) => ({ createdAt, ...(plan === undefined ? {} : { plan }) });

function recordOf(before: Rollout, after: Rollout, { event, reason, grounds }: WantedChange, now: Date) {
  const changer = { actor: engineActor, ...(reason === undefined ? {} : { reason }) };
  const record = changeRecord(before, after, event, changer, now);
  return grounds === undefined ? record : { ...record, after: { ...record.after, grounds } };
}
