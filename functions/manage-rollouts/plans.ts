import * as v from 'valibot';
import { auditRecord } from '../../shared/audit/record.ts';
import { operation } from '../../shared/http/api.ts';
import { decodeCursor } from '../../shared/http/cursor.ts';
import { etagOf } from '../../shared/http/etag.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { siteResource } from '../../shared/identity/resource.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { planningOf } from '../../shared/rollouts/manage.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { RolloutPlaces, type UnitPlace } from '../../shared/rollouts/places.ts';
import { planEntries, planView } from '../../shared/rollouts/plan/plan-view.ts';
import {
  getSiteSummary,
  listSiteSummaries,
  type StoredRollout,
  saveRollout,
} from '../../shared/rollouts/rollout-store.ts';
import { readableRollout, readsSite, requireRollout, resourceOf, viewOf } from './access.ts';
import type { Services } from './services.ts';

/** Where a page of a site's plan goes on. */
const Position = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Planning, and looking at the plan. */
export function planHandlers(services: Services) {
  const { devices, directory, guard, plans } = services;

  const requirePlan = ({ plan, state }: StoredRollout): void => {
    if (plan === undefined) throw problems.conflict('There is no plan yet. Ask for one first.', { state });
  };

  return {
    planRollout: operation(rolloutOperations.planRollout, async ({ caller, path, receivedAt }) => {
      const before = await requireRollout(services, path);
      const partition = rolloutPartition(before.id);
      const resource = resourceOf(before.id, before.definition);
      const entry = await guard.permit(caller, 'EditRollout', resource, partition, receivedAt);
      const after = planningOf(before);
      const record = {
        ...entry,
        action: 'RequestPlan',
        before: { state: before.state },
        after: { state: after.state },
      };
      if (!(await saveRollout(directory, before, after, [auditRecord(partition, record, receivedAt)]))) {
        throw problems.conflict('The rollout was changed at the same moment. Read it again, then decide.');
      }
      // When this fails nobody plans it, and asking again asks again.
      await services.askForPlan(after.id, after.version);
      return { body: await viewOf(services, after, { caller, receivedAt }), headers: { etag: etagOf(after.version) } };
    }),

    getRolloutPlan: operation(rolloutOperations.getRolloutPlan, async ({ caller, path, receivedAt }) => {
      const rollout = await readableRollout(services, caller, path, receivedAt);
      const { id, plan, digest, definition } = rollout;
      requirePlan(rollout);
      const summaries = await listSiteSummaries(directory, id);
      const places = new RolloutPlaces(directory, devices);
      const sites = summaries.map(({ siteId }) => siteId).filter((siteId) => siteId !== '');
      const units = new Map<string, ReadonlyMap<string, UnitPlace>>(
        await Promise.all(sites.map(async (siteId) => [siteId, await places.site(siteId)] as const)),
      );
      const view = planView(
        definition.waves,
        summaries,
        (siteId, unitId) => units.get(siteId)?.get(unitId),
        receivedAt.getTime(),
      );
      return {
        body: {
          rolloutId: id,
          state: plan?.state,
          ...(plan?.problem === undefined ? {} : { problem: plan.problem }),
          ...(digest === undefined ? {} : { digest }),
          ...view,
          // Sums are of the whole network: the plan is approved as a whole.
          sites: view.sites.filter(({ siteId }) => readsSite(services, caller, siteId, receivedAt)),
        },
      };
    }),

    getSitePlan: operation(rolloutOperations.getSitePlan, async ({ caller, path, query, receivedAt }) => {
      const rollout = await readableRollout(services, caller, path, receivedAt);
      const siteId = parameter(path, 'siteId');
      guard.assertMay(caller, 'ReadPlace', siteResource(siteId), receivedAt);
      requirePlan(rollout);
      const summary = await getSiteSummary(directory, rollout.id, siteId);
      if (summary === undefined) throw problems.notFound('The plan has no device of this site.');
      const list = ['rollout-plan', summary.digest, siteId, query.show ?? 'all'];
      const from = query.cursor === undefined ? 0 : decodeCursor(list, query.cursor, Position);
      const plan = await plans.get(rollout.id, siteId, summary.digest);
      const part = query.show === undefined || query.show === 'ineligible' ? query.show : Number(query.show);
      const page = planEntries(plan, part, from, query.limit);
      return { body: pageBody(list, page.items, page.next) };
    }),
  };
}
