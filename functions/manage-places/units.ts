import { isDeepStrictEqual } from 'node:util';
import { auditRecord } from '../../shared/audit/record.ts';
import { operation } from '../../shared/http/api.ts';
import { assertVersion, etagOf } from '../../shared/http/etag.ts';
import { newId } from '../../shared/http/idempotency.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { siteResource, unitResource } from '../../shared/identity/resource.ts';
import { factsOf } from '../../shared/places/facts.ts';
import { placeOperations } from '../../shared/places/operations.ts';
import type { Unit, UnitChanges } from '../../shared/places/place.ts';
import { type PlaceStore, sitePartition, unitPrefix } from '../../shared/places/store.ts';
import { permitLoosening } from './loosen.ts';
import { sameAsBefore } from './same-place.ts';
import { changedMeanwhile, requireSite, type Services } from './services.ts';

/** The operations on care units. */
export function unitOperations({ places, guard, directory, wakeHeld }: Services) {
  return {
    listUnits: operation(placeOperations.listUnits, async ({ caller, path, query, receivedAt }) => {
      const siteId = parameter(path, 'siteId');
      guard.assertMay(caller, 'ReadPlace', siteResource(siteId), receivedAt);
      await requireSite(places, siteId);
      const list = ['units', siteId];
      const page = await places.listUnits(siteId, query.limit, startAfter(list, query.cursor, unitPrefix));
      return { body: pageBody(list, page.items, page.after) };
    }),

    createUnit: operation(placeOperations.createUnit, async (request) => {
      const { caller, path, body, idempotencyKey, receivedAt } = request;
      const site = await requireSite(places, parameter(path, 'siteId'));
      const partition = sitePartition(site.id);
      const permit = await guard.permit(caller, 'CreateUnit', siteResource(site.id), partition, receivedAt);
      const at = receivedAt.toISOString();
      const id = newId('u', { actor: permit.actor, key: idempotencyKey, within: site.id }, receivedAt.getTime());
      const { name, acuityTier, ...rest } = body;
      const unit: Unit = {
        id,
        siteId: site.id,
        name,
        acuityTier,
        ...present(rest),
        createdAt: at,
        updatedAt: at,
        version: 1,
      };
      const entry = { ...permit, resource: `unit/${id}`, after: input(unit) };
      const created = await places.createUnit(unit, auditRecord(partition, entry, receivedAt));
      const stored = created ? unit : await places.getUnit(site.id, id);
      if (stored === undefined) throw problems.notFound('There is no site with this id.');
      const answer = created ? unit : sameAsBefore(stored, unit, input);
      return { body: answer, headers: { etag: etagOf(answer.version), location: `/v1/sites/${site.id}/units/${id}` } };
    }),

    getUnit: operation(placeOperations.getUnit, async ({ caller, path, receivedAt }) => {
      const [siteId, unitId] = [parameter(path, 'siteId'), parameter(path, 'unitId')];
      guard.assertMay(caller, 'ReadPlace', unitResource(siteId, unitId), receivedAt);
      const unit = await requireUnit(places, siteId, unitId);
      return { body: unit, headers: { etag: etagOf(unit.version) } };
    }),

    updateUnit: operation(placeOperations.updateUnit, async ({ caller, path, body, ifMatch, receivedAt }) => {
      const before = await requireUnit(places, parameter(path, 'siteId'), parameter(path, 'unitId'));
      const partition = sitePartition(before.siteId);
      const resource = unitResource(before.siteId, before.id);
      const permit = await guard.permit(caller, 'UpdateUnit', resource, partition, receivedAt);
      assertVersion(ifMatch, before.version);
      const unit = { ...changed(before, body), updatedAt: receivedAt.toISOString(), version: before.version + 1 };
      const site = await requireSite(places, before.siteId);
      const { entry, parts } = await permitLoosening(
        { guard, directory },
        {
          caller,
          resource,
          partition,
          permit,
          before: factsOf(site, before),
          after: factsOf(site, unit),
          place: { siteId: unit.siteId, unitId: unit.id },
          now: receivedAt,
        },
      );
      const audit = auditRecord(partition, { ...entry, before: input(before), after: input(unit) }, receivedAt);
      if (!(await places.updateUnit(unit, audit, parts))) throw changedMeanwhile();
      if (!isDeepStrictEqual(whatDecides(before), whatDecides(unit))) {
        await wakeHeld({ siteId: unit.siteId, unitId: unit.id });
      }
      return { body: unit, headers: { etag: etagOf(unit.version) } };
    }),

    deleteUnit: operation(placeOperations.deleteUnit, async ({ caller, path, ifMatch, receivedAt }) => {
      const unit = await requireUnit(places, parameter(path, 'siteId'), parameter(path, 'unitId'));
      const partition = sitePartition(unit.siteId);
      const resource = unitResource(unit.siteId, unit.id);
      const permit = await guard.permit(caller, 'DeleteUnit', resource, partition, receivedAt);
      assertVersion(ifMatch, unit.version);
      if (await places.hasDevices(unit.siteId, unit.id)) {
        throw problems.conflict('Devices are placed in this unit. Move them first.');
      }
      const entry = { ...permit, before: input(unit) };
      if (!(await places.deleteUnit(unit, auditRecord(partition, entry, receivedAt)))) throw changedMeanwhile();
      return {};
    }),
  };
}

/** The unit, or 404. */
export async function requireUnit(places: PlaceStore, siteId: string, unitId: string): Promise<Unit> {
  const unit = await places.getUnit(siteId, unitId);
  if (unit === undefined) throw problems.notFound('The site has no care unit with this id.');
  return unit;
}

function changed(before: Unit, changes: UnitChanges): Unit {
  const { timeZone, maintenanceWindows, blackouts, spares, ...rest } = before;
  return {
    ...rest,
    name: changes.name ?? before.name,
    acuityTier: changes.acuityTier ?? before.acuityTier,
    ...present({
      timeZone: after(timeZone, changes.timeZone),
      maintenanceWindows: after(maintenanceWindows, changes.maintenanceWindows),
      blackouts: after(blackouts, changes.blackouts),
      spares: after(spares, changes.spares),
    }),
  };
}

/** Left out keeps, `null` removes. */
function after<Value>(before: Value | undefined, change: Value | null | undefined): Value | undefined {
  return change === undefined ? before : (change ?? undefined);
}

function present<Members extends object>(members: Members): { [Name in keyof Members]?: NonNullable<Members[Name]> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  // Exactly the members that have a value are left, which is what the type says.
  return Object.fromEntries(entries) as { [Name in keyof Members]?: NonNullable<Members[Name]> };
}

/** What the interlock decides on. */
function whatDecides({ acuityTier, timeZone, maintenanceWindows, blackouts }: Unit) {
  return { acuityTier, timeZone, maintenanceWindows, blackouts };
}

function input({ name, acuityTier, timeZone, maintenanceWindows, blackouts, spares }: Unit): Record<string, unknown> {
  return { name, acuityTier, ...present({ timeZone, maintenanceWindows, blackouts, spares }) };
}
