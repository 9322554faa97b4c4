import { isDeepStrictEqual } from 'node:util';
import { auditRecord } from '../../shared/audit/record.ts';
import { readTrail } from '../../shared/audit/store.ts';
import { operation } from '../../shared/http/api.ts';
import { assertVersion, etagOf } from '../../shared/http/etag.ts';
import { newId } from '../../shared/http/idempotency.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { organization, siteResource } from '../../shared/identity/resource.ts';
import { factsOf } from '../../shared/places/facts.ts';
import { placeOperations } from '../../shared/places/operations.ts';
import type { Site } from '../../shared/places/place.ts';
import { organizationPartition, sitePartition } from '../../shared/places/store.ts';
import { permitLoosening } from './loosen.ts';
import { sameAsBefore } from './same-place.ts';
import { changedMeanwhile, requireSite, type Services } from './services.ts';

/** The operations on sites. */
export function siteOperations({ places, guard, directory, wakeHeld }: Services) {
  return {
    listSites: operation(placeOperations.listSites, async ({ caller, query, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const page = await places.listSites(query.limit, startAfter(['sites'], query.cursor));
      const items = page.items.filter(
        (site) => guard.decide(caller, 'ReadPlace', siteResource(site.id), receivedAt).allowed,
      );
      return { body: pageBody(['sites'], items, page.after) };
    }),

    createSite: operation(placeOperations.createSite, async ({ caller, body, idempotencyKey, receivedAt }) => {
      const permit = await guard.permit(caller, 'CreateSite', organization(), organizationPartition, receivedAt);
      const at = receivedAt.toISOString();
      const id = newId('s', { actor: permit.actor, key: idempotencyKey }, receivedAt.getTime());
      const site: Site = { id, ...body, createdAt: at, updatedAt: at, version: 1 };
      const entry = { ...permit, resource: `site/${id}`, siteId: id, after: { ...body } };
      const created = await places.createSite(site, auditRecord(sitePartition(id), entry, receivedAt));
      const stored = created ? site : sameAsBefore(await requireSite(places, id), site, input);
      return { body: stored, headers: { etag: etagOf(stored.version), location: `/v1/sites/${id}` } };
    }),

    getSite: operation(placeOperations.getSite, async ({ caller, path, receivedAt }) => {
      const siteId = parameter(path, 'siteId');
      guard.assertMay(caller, 'ReadPlace', siteResource(siteId), receivedAt);
      const site = await requireSite(places, siteId);
      return { body: site, headers: { etag: etagOf(site.version) } };
    }),

    updateSite: operation(placeOperations.updateSite, async ({ caller, path, body, ifMatch, receivedAt }) => {
      const before = await requireSite(places, parameter(path, 'siteId'));
      const partition = sitePartition(before.id);
      const permit = await guard.permit(caller, 'UpdateSite', siteResource(before.id), partition, receivedAt);
      assertVersion(ifMatch, before.version);
      const site: Site = {
        ...before,
        name: body.name ?? before.name,
        timeZone: body.timeZone ?? before.timeZone,
        maintenanceWindows: body.maintenanceWindows ?? before.maintenanceWindows,
        blackouts: body.blackouts ?? before.blackouts,
        freezes: body.freezes ?? before.freezes,
        updatedAt: receivedAt.toISOString(),
        version: before.version + 1,
      };
      const { entry, parts } = await permitLoosening(
        { guard, directory },
        {
          caller,
          resource: siteResource(before.id),
          partition,
          permit,
          before: factsOf(before, undefined),
          after: factsOf(site, undefined),
          place: { siteId: site.id },
          now: receivedAt,
        },
      );
      const audit = auditRecord(partition, { ...entry, before: input(before), after: input(site) }, receivedAt);
      if (!(await places.updateSite(site, audit, parts))) throw changedMeanwhile();
      if (!isDeepStrictEqual(hoursOf(before), hoursOf(site))) await wakeHeld({ siteId: site.id });
      return { body: site, headers: { etag: etagOf(site.version) } };
    }),

    deleteSite: operation(placeOperations.deleteSite, async ({ caller, path, ifMatch, receivedAt }) => {
      const site = await requireSite(places, parameter(path, 'siteId'));
      const partition = sitePartition(site.id);
      const permit = await guard.permit(caller, 'DeleteSite', siteResource(site.id), partition, receivedAt);
      assertVersion(ifMatch, site.version);
      if (await places.hasDevices(site.id))
        throw problems.conflict('Devices are placed at this site. Move them first.');
      const units = await places.listUnits(site.id, 1);
      if (units.items.length > 0) throw problems.conflict('The site has care units. Delete them first.');
      const entry = { ...permit, before: input(site) };
      if (!(await places.deleteSite(site, auditRecord(partition, entry, receivedAt)))) throw changedMeanwhile();
      return {};
    }),

    listSiteAudit: operation(placeOperations.listSiteAudit, async ({ caller, path, query, receivedAt }) => {
      const siteId = parameter(path, 'siteId');
      guard.assertMay(caller, 'ReadAudit', siteResource(siteId), receivedAt);
      const list = ['site-audit', siteId];
      // A deleted site keeps its trail, so that there is no 404 here.
      const page = await readTrail(directory, sitePartition(siteId), query.limit, startAfter(list, query.cursor));
      return { body: pageBody(list, page.items, page.after) };
    }),
  };
}

/** What the interlock decides on. */
function hoursOf({ timeZone, maintenanceWindows, blackouts, freezes }: Site) {
  return { timeZone, maintenanceWindows, blackouts, freezes };
}

function input({ name, timeZone, maintenanceWindows, blackouts, freezes }: Site): Record<string, unknown> {
  return { name, timeZone, maintenanceWindows, blackouts, freezes };
}
