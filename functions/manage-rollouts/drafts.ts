import { auditRecord } from '../../shared/audit/record.ts';
import { cancellationsOf } from '../../shared/aws/errors.ts';
import { canonicalJson } from '../../shared/canonical-json.ts';
import { operation } from '../../shared/http/api.ts';
import { assertVersion, etagOf } from '../../shared/http/etag.ts';
import { keyWasUsed, newId } from '../../shared/http/idempotency.ts';
import type { ApiRequest, ApiResponse } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { draftRollout, type RolloutDefinition } from '../../shared/rollouts/rollout.ts';
import { createRollout, getRollout, listRollouts, type StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import { summaryView } from '../../shared/rollouts/view.ts';
import { readableRollout, resourceOf, sitesReader, viewOf } from './access.ts';
import { answered, changed } from './change.ts';
import type { Services } from './services.ts';

/** Making, reading and changing rollouts before they begin. */
export function draftHandlers(services: Services) {
  const { directory, guard } = services;
  return {
    listRollouts: operation(rolloutOperations.listRollouts, async ({ caller, query, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const list = ['rollouts', query.state ?? 'all'];
      const page = await listRollouts(directory, query.limit, startAfter(list, query.cursor));
      const items = page.items
        .filter(({ state }) => query.state === undefined || state === query.state)
        .filter(
          ({ id, definition }) => guard.decide(caller, 'ReadRollout', resourceOf(id, definition), receivedAt).allowed,
        );
      const reads = sitesReader(services, caller, receivedAt);
      return {
        body: pageBody(
          list,
          items.map((rollout) => summaryView(rollout, reads)),
          page.after,
        ),
      };
    }),

    createRollout: operation(rolloutOperations.createRollout, (request) => newDraft(services, request, request.body)),

    cloneRollout: operation(rolloutOperations.cloneRollout, async (request) => {
      const { id, definition } = await readableRollout(services, request.caller, request.path, request.receivedAt);
      return newDraft(services, request, definition, id);
    }),

    getRollout: operation(rolloutOperations.getRollout, async ({ caller, path, receivedAt }) => {
      const rollout = await readableRollout(services, caller, path, receivedAt);
      return {
        body: await viewOf(services, rollout, { caller, receivedAt }),
        headers: { etag: etagOf(rollout.version) },
      };
    }),

    updateRollout: operation(rolloutOperations.updateRollout, async (request) => {
      const { caller, body, ifMatch, receivedAt } = request;
      const after = await changed(services, request, {
        action: 'EditRollout',
        async eventOf({ id, version }) {
          // Who may change this one may not therefore make one of it that reaches other devices.
          await guard.permit(caller, 'EditRollout', resourceOf(id, body), rolloutPartition(id), receivedAt);
          assertVersion(ifMatch, version);
          return { kind: 'edit', definition: body };
        },
      });
      return answered(services, after, request);
    }),
  };
}

async function newDraft(
  services: Services,
  { caller, idempotencyKey, receivedAt }: Omit<ApiRequest<unknown, unknown>, 'body'>,
  definition: RolloutDefinition,
  clonedFrom?: string,
): Promise<ApiResponse> {
  const { directory, guard } = services;
  const actor = actorOf(caller);
  const id = newId('ro', { actor, key: idempotencyKey }, receivedAt.getTime());
  const partition = rolloutPartition(id);
  const entry = await guard.permit(caller, 'CreateRollout', resourceOf(id, definition), partition, receivedAt);
  const at = receivedAt.getTime();
  const draft: StoredRollout = { ...draftRollout(id, definition, actor, at), createdAt: receivedAt.toISOString() };
  const { kind, name, version } = definition.artifact;
  const made = {
    state: draft.state,
    name: definition.name,
    artifact: `${kind} ${name} ${version}`,
    ...(clonedFrom === undefined ? {} : { clonedFrom }),
  };
  const stored = await stillOrNew(directory, draft, auditRecord(partition, { ...entry, after: made }, receivedAt));
  return {
    body: await viewOf(services, stored, { caller, receivedAt }),
    headers: { etag: etagOf(stored.version), location: `/v1/rollouts/${id}` },
  };
}

/** Stores the draft; or gives the one that the same person made with the same key before. */
async function stillOrNew(
  directory: Services['directory'],
  draft: StoredRollout,
  audit: ReturnType<typeof auditRecord>,
): Promise<StoredRollout> {
  try {
    await createRollout(directory, draft, audit);
    return draft;
  } catch (error) {
    if (cancellationsOf(error)?.[0]?.code !== 'ConditionalCheckFailed') throw error;
  }
  const before = await getRollout(directory, draft.id);
  // Later changes of it are no other request.
  if (before !== undefined && (before.version > 1 || same(before, draft))) return before;
  throw keyWasUsed();
}

const same = (a: StoredRollout, b: StoredRollout): boolean =>
  canonicalJson(a.definition) === canonicalJson(b.definition);
