import * as v from 'valibot';
import { auditSpec } from '../audit/operations.ts';
import { DeviceClass } from '../devices/device.ts';
import { PageQuery, pageOf } from '../http/page.ts';
import { Site, SiteChanges, SiteInput, Unit, UnitChanges, UnitInput } from './place.ts';

const tag = 'Places';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const time = v.pipe(v.string(), v.isoTimestamp());

/** What a unit can spare, and what it misses already (rule R8 of docs/safety.md). */
export const UnitSpares = v.object({
  classes: v.array(
    v.object({
      class: v.picklist(Object.values(DeviceClass)),
      devices: v.pipe(count, v.description('Devices of the class enrolled in the unit')),
      keep: v.optional(v.pipe(count, v.description("The unit's `spares`: the minimum that must stay in service"))),
      budget: v.pipe(
        count,
        v.description(
          'How many may be out of service at once. A unit that sets no `spares` has a budget of 1, which applies to rollouts only',
        ),
      ),
      away: v.pipe(
        v.array(
          v.object({
            deviceId: v.string(),
            by: v.pipe(v.string(), v.description('What took it out of service: `rollout <id>` or `command <id>`')),
            since: time,
            until: v.optional(
              v.pipe(time, v.description('Counts as back by then at the latest; absent for a rollout')),
            ),
          }),
        ),
        v.description('Devices out of service, longest first'),
      ),
    }),
  ),
});

/** The operations on sites and care units. */
export const placeOperations = {
  listSites: {
    summary: 'List sites',
    description:
      'Sorted by name. Only sites that the caller may read. A page may hold fewer than `limit` sites and still have a `next`.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of sites', schema: pageOf(Site) },
  },
  createSite: {
    summary: 'Create a site',
    tag,
    body: SiteInput,
    idempotencyKey: true,
    problems: [409],
    answer: { status: 201, description: 'The new site', schema: Site, etag: true, location: true },
  },
  getSite: {
    summary: 'Get a site',
    tag,
    answer: { status: 200, description: 'The site', schema: Site, etag: true },
  },
  updateSite: {
    summary: 'Update a site',
    description:
      'Omitted members keep their value. A change that lets more through than before (longer hours, a shorter freeze) requires a multi-factor sign-in within the last 15 minutes and raises an alert.',
    tag,
    body: SiteChanges,
    conditional: true,
    answer: { status: 200, description: 'The updated site', schema: Site, etag: true },
  },
  deleteSite: {
    summary: 'Delete a site',
    description: 'Refused while the site has care units or devices.',
    tag,
    conditional: true,
    answer: { status: 204, description: 'Deleted' },
    problems: [409],
  },
  listSiteAudit: auditSpec('site and its units'),
  listUnits: {
    summary: 'List the care units of a site',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of units', schema: pageOf(Unit) },
  },
  createUnit: {
    summary: 'Create a care unit',
    tag,
    body: UnitInput,
    idempotencyKey: true,
    problems: [409],
    answer: { status: 201, description: 'The new unit', schema: Unit, etag: true, location: true },
  },
  getUnit: {
    summary: 'Get a care unit',
    tag,
    answer: { status: 200, description: 'The unit', schema: Unit, etag: true },
  },
  updateUnit: {
    summary: 'Update a care unit',
    description:
      "Omitted members keep their value; `null` reverts to the site's. A change that lets more through than before (a less acute tier, longer hours, fewer spares) requires a multi-factor sign-in within the last 15 minutes and raises an alert.",
    tag,
    body: UnitChanges,
    conditional: true,
    answer: { status: 200, description: 'The updated unit', schema: Unit, etag: true },
  },
  getUnitSpares: {
    summary: 'Get the spares of a care unit',
    description:
      'Which devices are out of service, and how many more may be, for each class of which the unit has a device, a `spares` setting, or a device out of service. Exact at the time of the request. A device that a command took out of service counts as back at `until` at the latest; one that a rollout took, once it is seen to work or a person returns it to service.',
    tag,
    answer: { status: 200, description: 'The spares by class', schema: UnitSpares },
  },
  deleteUnit: {
    summary: 'Delete a care unit',
    description: 'Refused while devices are placed in the unit.',
    tag,
    conditional: true,
    answer: { status: 204, description: 'Deleted' },
    problems: [409],
  },
} as const;
