import { setTimeout as pause } from 'node:timers/promises';
import { type AuditEntry, AuditOutcome, auditRecord } from '../../shared/audit/record.ts';
import { keepRecord } from '../../shared/audit/store.ts';
import type { WritePart } from '../../shared/devices/store.ts';
import { etagOf } from '../../shared/http/etag.ts';
import type { ApiRequest, ApiResponse } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Action } from '../../shared/identity/actions.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { changeRecord } from '../../shared/rollouts/change-record.ts';
import { RefusalKind } from '../../shared/rollouts/executions/outcome.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { answerWaits } from '../../shared/rollouts/machines/answer-waits.ts';
import { type Deed, refusalOf } from '../../shared/rollouts/manage.ts';
import { advanceRollout, type RolloutEvent } from '../../shared/rollouts/rollout.ts';
import { type StoredRollout, saveRollout } from '../../shared/rollouts/rollout-store.ts';
import { type Reader, requireRollout, resourceOf, viewOf } from './access.ts';
import type { Services } from './services.ts';

/** What a person wants to happen to a rollout. */
export interface Wanted {
  readonly action: Action;
  readonly reason?: string;
  /**
   * The sites that it concerns, any of which is enough to be permitted; where it concerns the whole rollout, or what it is
   * about is not there, undefined.
   */
  readonly sitesOf?: (rollout: StoredRollout) => Promise<readonly string[] | undefined>;
  /** Looks at the rollout as it is, refuses with a problem, and says what is to happen. */
  readonly eventOf: (
    rollout: StoredRollout,
    entry: AuditEntry,
  ) => Promise<RolloutEvent & { readonly kind: Deed }> | (RolloutEvent & { readonly kind: Deed });
  /** Alerts, in the same transaction. */
  readonly parts?: (after: StoredRollout) => readonly WritePart[];
}

/** Tries while others change the same rollout, the engine among them. */
const tries = 12;

type Request = Pick<ApiRequest<unknown, unknown>, 'caller' | 'path' | 'receivedAt'>;

/**
 * Changes the rollout of the path: permission, rule, and one transaction with the audit record. Then the state machines
 * that waited for it are told.
 *
 * @throws ProblemError 404, 401 or 403 of the policies, 409 with the rule that refuses
 */
export async function changed(services: Services, request: Request, wanted: Wanted): Promise<StoredRollout> {
  const { directory, guard } = services;
  const { caller, path, receivedAt } = request;
  for (let tried = 0; tried < tries; tried += 1) {
    const before = await requireRollout(services, path);
    const partition = rolloutPartition(before.id);
    const { selection } = before.definition;
    const siteIds = (await wanted.sitesOf?.(before)) ?? selection.siteIds;
    const resource = resourceOf(before.id, {
      selection: { ...selection, ...(siteIds === undefined ? {} : { siteIds }) },
    });
    const entry = await guard.permit(caller, wanted.action, resource, partition, receivedAt);
    const event = await wanted.eventOf(before, entry);
    const outcome = advanceRollout(before, event, before.version, receivedAt.getTime());
    if (!outcome.ok && outcome.kind === RefusalKind.Conflict) continue;
    if (!outcome.ok) throw refusalOf(before, event.kind, outcome);
    const after: StoredRollout = { ...kept(before, event), ...outcome.value };
    const { policyIds = [], siteId } = entry;
    const changer = {
      actor: entry.actor,
      policyIds,
      ...(siteId === undefined ? {} : { siteId }),
      ...(wanted.reason === undefined ? {} : { reason: wanted.reason }),
    };
    const record = changeRecord(before, after, event, changer, receivedAt);
    if (await saveRollout(directory, before, after, [record], wanted.parts?.(after))) {
      await answerWaits(services, after, receivedAt);
      return after;
    }
    await pause(Math.random() * Math.min(400, 10 * 2 ** tried));
  }
  throw problems.unavailable('The rollout is being changed by others at the same moment.', 1);
}

/** The answer that shows the rollout after the change. */
export async function answered(services: Services, rollout: StoredRollout, reader: Reader): Promise<ApiResponse> {
  return { body: await viewOf(services, rollout, reader), headers: { etag: etagOf(rollout.version) } };
}

/** Keeps a record of an attempt that a rule refused, where the timeline shows it. */
export async function keepRefusal(
  { directory }: Pick<Services, 'directory'>,
  { caller, receivedAt }: Request,
  rollout: StoredRollout,
  action: string,
  reason: string,
): Promise<void> {
  const entry = { actor: actorOf(caller), action, resource: `rollout/${rollout.id}`, outcome: AuditOutcome.Refused };
  await keepRecord(directory, auditRecord(rolloutPartition(rollout.id), { ...entry, reason }, receivedAt));
}

/** What the rules do not know of. A changed definition has no plan. */
const kept = ({ createdAt, plan }: StoredRollout, event: RolloutEvent) => ({
  createdAt,
  ...(plan === undefined || event.kind === 'edit' ? {} : { plan }),
});
