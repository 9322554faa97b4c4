import * as v from 'valibot';
import { readTrail } from '../../shared/audit/store.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { siteResource } from '../../shared/identity/resource.ts';
import { unitBudget } from '../../shared/rollouts/admission.ts';
import { isFinal } from '../../shared/rollouts/execution.ts';
import {
  type ExecutionListOptions,
  listExecutions,
  type StoredExecution,
} from '../../shared/rollouts/execution-store.ts';
import { explain, type Surroundings } from '../../shared/rollouts/explain.ts';
import { ExecutionGroup, rolloutPartition } from '../../shared/rollouts/keys.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { RolloutPlaces } from '../../shared/rollouts/places.ts';
import { listSiteSummaries, type StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import { countOfClass, readAway } from '../../shared/rollouts/spares-store.ts';
import { timelineEntry } from '../../shared/rollouts/timeline.ts';
import { readableRollout, readsSite } from './access.ts';
import type { Services } from './services.ts';

/** Where a list of devices goes on: at which site, in which group, after which. */
const Position = v.strictObject({
  site: v.pipe(v.string(), v.maxLength(80)),
  group: v.picklist(Object.values(ExecutionGroup)),
  after: v.optional(v.pipe(v.string(), v.maxLength(400))),
});
type Position = v.InferOutput<typeof Position>;

/** Requests of the index for one page. */
const mostRequests = 8;

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
      const around = surroundingsReader(receivedAt);
      const items = await Promise.all(
        page.items.map(async (each) => viewOf(each, rollout, await around(each), receivedAt)),
      );
      return { body: pageBody(list, items, page.next) };
    }),

    listRolloutTimeline: operation(
      rolloutOperations.listRolloutTimeline,
      async ({ caller, path, query, receivedAt }) => {
        const { id } = await readableRollout(services, caller, path, receivedAt);
        const list = ['rollout-timeline', id];
        const trail = await readTrail(directory, rolloutPartition(id), query.limit, startAfter(list, query.cursor));
        return { body: pageBody(list, trail.items.map(timelineEntry), trail.after) };
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

  /** What is around devices that wait; the same unit and class is read once for a page. */
  function surroundingsReader(now: Date): (execution: StoredExecution) => Promise<Surroundings> {
    const places = new RolloutPlaces(directory, devices);
    const known = new Map<string, Promise<Surroundings>>();
    return (execution) => {
      const { siteId, unitId, class: deviceClass } = execution;
      // Nothing around it is told of a device that does not wait.
      if (isFinal(execution)) return Promise.resolve({ calendar: undefined, budget: 0, away: 0 });
      const key = `${siteId} ${unitId} ${deviceClass}`;
      const reading = known.get(key) ?? read({ siteId, unitId, class: deviceClass });
      known.set(key, reading);
      return reading;
    };

    async function read(place: Pick<StoredExecution, 'siteId' | 'unitId' | 'class'>): Promise<Surroundings> {
      const [unit, inUnit, away] = await Promise.all([
        places.unit(place.siteId, place.unitId),
        countOfClass(devices, place),
        readAway(directory, place, now),
      ]);
      const budget = unitBudget({ devices: inUnit, keep: unit?.spares?.[place.class] });
      return { calendar: unit?.calendar, budget, away: Object.keys(away).length };
    }
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

function viewOf(execution: StoredExecution, rollout: StoredRollout, around: Surroundings, now: Date) {
  const { deviceId, siteId, unitId, wave, rank, direction, status, since, outOfService, commandId } = execution;
  return {
    ...{
      deviceId,
      siteId,
      unitId,
      class: execution.class,
      wave,
      rank,
      direction,
      state: status.state,
      since,
      outOfService,
    },
    ...(commandId === undefined ? {} : { commandId }),
    ...explain(execution, rollout, around, now.getTime()),
  };
}
