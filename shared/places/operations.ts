import { auditSpec } from '../audit/operations.ts';
import { PageQuery, pageOf } from '../http/page.ts';
import { Site, SiteChanges, SiteInput, Unit, UnitChanges, UnitInput } from './place.ts';

const tag = 'Places';

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
    answer: { status: 201, description: 'The new site', schema: Site, etag: true, location: true },
  },
  getSite: {
    summary: 'Read a site',
    tag,
    answer: { status: 200, description: 'The site', schema: Site, etag: true },
  },
  updateSite: {
    summary: 'Change a site',
    description: 'Members that are left out stay as they are.',
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
    answer: { status: 201, description: 'The new unit', schema: Unit, etag: true, location: true },
  },
  getUnit: {
    summary: 'Read a care unit',
    tag,
    answer: { status: 200, description: 'The unit', schema: Unit, etag: true },
  },
  updateUnit: {
    summary: 'Change a care unit',
    description: 'Members that are left out stay as they are; `null` goes back to what the site says.',
    tag,
    body: UnitChanges,
    conditional: true,
    answer: { status: 200, description: 'The unit after the change', schema: Unit, etag: true },
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
