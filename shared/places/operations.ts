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
      devices: v.pipe(count, v.description('Enrolled in the unit')),
      keep: v.optional(
        v.pipe(count, v.description('`spares` of the unit: the least number that must stay in service')),
      ),
      budget: v.pipe(
        count,
        v.description(
          'So many may be out of service at once. Where the unit says nothing of spares it is 1, and holds for rollouts only',
        ),
      ),
      away: v.pipe(
        v.array(
          v.object({
            deviceId: v.string(),
            by: v.pipe(v.string(), v.description('What took it away: `rollout <id>` or `command <id>`')),
            since: time,
            until: v.optional(v.pipe(time, v.description('Until when at most; missing for a rollout'))),
          }),
        ),
        v.description('The longest first'),
      ),
    }),
  ),
});

/** The operations on sites and care units. */
export const placeOperations = {
  listSites: {
    summary: 'List sites by name',
    description:
      'Only the sites that the caller may read. A page can hold fewer than `limit` sites and still have a next one.',
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
    summary: 'Read a site',
    tag,
    answer: { status: 200, description: 'The site', schema: Site, etag: true },
  },
  updateSite: {
    summary: 'Change a site',
    description:
      'Members that are left out stay as they are. What lets more through than before (hours, a freeze that ends early) needs a sign-in with a second factor within the last 15 minutes, and raises an alert.',
    tag,
    body: SiteChanges,
    conditional: true,
    answer: { status: 200, description: 'The site after the change', schema: Site, etag: true },
  },
  deleteSite: {
    summary: 'Delete a site',
    description: 'Refused while it has units or devices.',
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
    summary: 'Read a care unit',
    tag,
    answer: { status: 200, description: 'The unit', schema: Unit, etag: true },
  },
  updateUnit: {
    summary: 'Change a care unit',
    description:
      'Members that are left out stay as they are; `null` goes back to what the site says. What lets more through than before (a laxer tier, hours, fewer spares) needs a sign-in with a second factor within the last 15 minutes, and raises an alert.',
    tag,
    body: UnitChanges,
    conditional: true,
    answer: { status: 200, description: 'The unit after the change', schema: Unit, etag: true },
  },
  getUnitSpares: {
    summary: 'Read which devices of a care unit are out of service, and how many more it can spare',
    description:
      'By class: classes of which the unit has a device, a number of `spares`, or a device that is away. What is away is exact to the moment; what a command took away is over at `until` at the latest, what a rollout took away when the device is seen to work, or a person puts it back.',
    tag,
    answer: { status: 200, description: 'What the unit can spare', schema: UnitSpares },
  },
  deleteUnit: {
    summary: 'Delete a care unit',
    description: 'Refused while devices are placed in it.',
    tag,
    conditional: true,
    answer: { status: 204, description: 'Deleted' },
    problems: [409],
  },
} as const;
