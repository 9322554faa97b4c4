import * as v from 'valibot';
import { readTrail } from '../../shared/audit/store.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { siteResource } from '../../shared/identity/resource.ts';
import {
  type ExecutionListOptions,
  listExecutions,
  type StoredExecution,
} from '../../shared/rollouts/executions/execution-store.ts';
import { ExecutionGroup, executionIndexPrefix, rolloutPartition } from '../../shared/rollouts/keys.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { listSiteSummaries } from '../../shared/rollouts/rollout-store.ts';
import { timelineEntry } from '../../shared/rollouts/timeline.ts';
import { readableRollout, readsSite, sitesReader } from './access.ts';
import { deviceViewer } from './device-view.ts';
import type { Services } from './services.ts';

/** Where a list of devices goes on: at which site, in which group, after which. */
const Position = v.pipe(
  v.strictObject({
    site: v.pipe(v.string(), v.maxLength(80)),
    group: v.picklist(Object.values(ExecutionGroup)),
    after: v.optional(v.pipe(v.string(), v.maxLength(400), v.regex(/^\S+ \S+$/))),
  }),
  v.check(({ group, after }) => after?.startsWith(executionIndexPrefix({ group })) ?? true),
);
type Position = v.InferOutput<typeof Position>;

/** Requests of the index for one page: so many parts of sites may be empty before something is found. */
const mostRequests = 40;

/** Looking at a rollout that goes on. */
export function progressHandlers(services: Services) {
  const { devices, directory, guard } = services;

  return {
    listRolloutDevices: operation(rolloutOperations.listRolloutDevices, async ({ caller, path, query, receivedAt }) => {
      const rollout = await readableRollout(services, caller, path, receivedAt);
      const { site, state, limit } = query;
      if (site !== undefined) guard.assertMay(caller, 'ReadPlace', siteResource(site), receivedAt);
      const list = ['rollout-devices', rollout.id, site ?? 'all', state ?? 'all'];
      const from = query.cursor === undefined ? undefined : decodeCursor(list, query.cursor, Position);
      const sites =
        site === undefined
          ? (await listSiteSummaries(directory, rollout.id))
              .map(({ siteId }) => siteId)
              .filter((siteId) => readsSite(services, caller, siteId, receivedAt))
          : [site];
      const page = await pageOf(rollout.id, sites, state, limit, from);
      const items = await Promise.all(page.items.map(deviceViewer(services, rollout, receivedAt)));
      return { body: pageBody(list, items, page.next) };
    }),

    listRolloutTimeline: operation(
      rolloutOperations.listRolloutTimeline,
      async ({ caller, path, query, receivedAt }) => {
        const { id } = await readableRollout(services, caller, path, receivedAt);
        const list = ['rollout-timeline', id];
        const trail = await readTrail(directory, rolloutPartition(id), query.limit, startAfter(list, query.cursor));
        const reads = sitesReader(services, caller, receivedAt);
        const items = trail.items.flatMap((record) => timelineEntry(record, reads) ?? []);
        return { body: pageBody(list, items, trail.after) };
      },
    ),
  };

  /** Goes from group to group and from site to site until the page is full or enough was read. */
  async function pageOf(
    rolloutId: string,
    sites: readonly string[],
    state: string | undefined,
    limit: number,
    from: Position | undefined,
  ): Promise<{ readonly items: readonly StoredExecution[]; readonly next?: Position }> {
    const parts = sites.flatMap((site) => groupsOf(state).map((group): Position => ({ site, group })));
    const begin =
      from === undefined ? 0 : parts.findIndex(({ site, group }) => site === from.site && group === from.group);
    const items: StoredExecution[] = [];
    let requests = 0;
    let after = from?.after;
    for (const [index, part] of parts.entries()) {
      if (index < begin || begin < 0) continue;
      do {
        if (items.length >= limit || requests >= mostRequests) {
          return { items, next: { ...part, ...(after === undefined ? {} : { after }) } };
        }
        const options: ExecutionListOptions = { group: part.group, limit: limit - items.length, after };
        const page = await listExecutions(devices, rolloutId, part.site, options);
        requests += 1;
        items.push(...page.items.filter(({ status }) => state === undefined || status.state === state));
        after = page.after;
      } while (after !== undefined);
    }
    return { items };
  }
}

/** In which groups devices of this state lie. */
function groupsOf(state: string | undefined): readonly ExecutionGroup[] {
  const { Fetching, Ready, Active, Ended } = ExecutionGroup;
  // What is going on comes first, what is over last.
  if (state === undefined) return [Active, Ready, Fetching, Ended];
  if (state === 'deferred') return [Ready, Fetching];
  if (state === 'planned' || state === 'queued') return [Fetching];
  if (state === 'staged' || state === 'armed') return [Ready];
  return state === 'activating' || state === 'verifying' ? [Active] : [Ended];
}
