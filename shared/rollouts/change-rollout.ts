import { setTimeout as pause } from 'node:timers/promises';
import { type AuditItem, AuditOutcome, auditRecord } from '../audit/record.ts';
import type { WritePart } from '../devices/store.ts';
import { answerWaits } from './answer-waits.ts';
import { type Engine, engineActor } from './engine.ts';
import { rolloutPartition } from './keys.ts';
import { advanceRollout, type Rollout, type RolloutEvent } from './rollout.ts';
import { getRollout, type StoredRollout, saveRollout } from './rollout-store.ts';

/** What is to happen to a rollout, and what tells of it. */
export interface WantedChange {
  readonly event: RolloutEvent;
  /** What the audit trail and people are told, once the change is known; undefined when it changes nothing worth keeping. */
  readonly told: (after: Rollout) => Told | undefined;
}

/** How a change is told. */
export interface Told {
  readonly audit: AuditItem;
  /** Alerts, in the same transaction. */
  readonly parts?: readonly WritePart[];
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
  decide: (rollout: StoredRollout) => Promise<WantedChange | undefined>,
  now: Date,
): Promise<StoredRollout | undefined> {
  for (let tried = 0; tried < tries; tried += 1) {
    const before = await getRollout(engine.directory, rolloutId);
    if (before === undefined) return undefined;
    const wanted = await decide(before);
    if (wanted === undefined) return before;
    const next = advanceRollout(before, wanted.event, before.version, now.getTime());
    if (!next.ok) return before;
    const told = wanted.told(next.value);
    if (told === undefined) return before;
    if (await saveRollout(engine.directory, before, next.value, [told.audit], told.parts)) {
      const after = { ...kept(before), ...next.value };
      await answerWaits(engine, after, now);
      return after;
    }
    await pause(Math.random() * Math.min(400, 10 * 2 ** tried));
  }
  throw new Error(`The rollout ${rolloutId} is changed by others all the time.`);
}

/** What a change leaves as it is. */
const kept = ({ createdAt, plan }: StoredRollout) => ({ createdAt, ...(plan === undefined ? {} : { plan }) });

/** The audit record of a decision of the engine: it is also the rollout's timeline. */
export const decisionRecord = (
  { id }: Pick<Rollout, 'id'>,
  action: string,
  reason: string,
  after: Readonly<Record<string, unknown>>,
  now: Date,
): AuditItem =>
  auditRecord(
    rolloutPartition(id),
    { actor: engineActor, action, resource: `rollout/${id}`, outcome: AuditOutcome.Allowed, reason, after },
    now,
  );
