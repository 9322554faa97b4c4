import * as v from 'valibot';
import { auditSpec } from '../audit/operations.ts';
import { Compliance } from '../compliance/assess.ts';
import { parseSerial } from '../enrollment/serial.ts';
import { pageEntries, pageOf } from '../http/page.ts';
import { ImportView, RowResult } from '../imports/job.ts';
import { SignalView } from '../interlock/operations.ts';
import { Location } from '../places/location.ts';
import { SiteId, UnitId } from '../places/place.ts';
import {
  ActivationState,
  Channel,
  ClinicalState,
  ContextAssociation,
  DeviceClass,
  Lifecycle,
  OperatingMode,
  Ownership,
  Platform,
} from './device.ts';

const tag = 'Devices';
const imports = 'Imports';

const text = (what: string) =>
  v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'must not be empty'),
    v.maxLength(120, 'must have at most 120 characters'),
    v.regex(/^[^\t\n\r]*$/, 'must be one line'),
    v.description(what),
  );

const Serial = v.pipe(
  v.string(),
  v.maxLength(64, 'must have at most 64 characters'),
  v.check((serial) => parseSerial(serial) !== undefined, 'must be a serial number that a certificate can carry'),
  v.description('As printed on the device: letters, digits, spaces and ()+,-./:'),
  v.transform((serial) => parseSerial(serial) ?? serial),
);

const time = v.pipe(v.string(), v.isoTimestamp());
const PlatformName = v.picklist(Object.values(Platform));
const ClassName = v.picklist(Object.values(DeviceClass));
const OwnershipName = v.picklist(Object.values(Ownership));
const LifecycleName = v.picklist(Object.values(Lifecycle));
const ComplianceName = v.picklist(Object.values(Compliance));

/** What a person says of a device before it enrols. */
export const DeviceInput = v.strictObject({
  serial: Serial,
  platform: PlatformName,
  class: v.optional(ClassName, DeviceClass.Other),
  ownership: v.optional(OwnershipName, Ownership.Organization),
  siteId: v.optional(SiteId),
  unitId: v.optional(v.pipe(UnitId, v.description('Requires `siteId`'))),
  name: v.optional(text('Display name')),
  location: v.optional(Location),
  model: v.optional(text('Model name')),
  user: v.optional(text("Who it is assigned to: a user name in the hospital's directory")),
});
export type DeviceInput = v.InferOutput<typeof DeviceInput>;

/** What may be changed of a device; `null` removes. */
export const DevicePatch = v.strictObject({
  siteId: v.optional(
    v.nullable(v.pipe(SiteId, v.description('Moving to another site also removes the device from its unit'))),
  ),
  unitId: v.optional(v.nullable(UnitId)),
  name: v.optional(v.nullable(text('Display name'))),
  location: v.optional(v.nullable(v.pipe(Location, v.description('Replaces the whole location')))),
  model: v.optional(v.nullable(text('Model name'))),
  user: v.optional(v.nullable(text('Who it is assigned to'))),
  class: v.optional(ClassName),
  ownership: v.optional(OwnershipName),
});
export type DevicePatch = v.InferOutput<typeof DevicePatch>;

/** A device as lists show it. */
export const DeviceView = v.object({
  id: v.string(),
  serial: v.string(),
  platform: PlatformName,
  class: ClassName,
  ownership: OwnershipName,
  lifecycle: LifecycleName,
  siteId: v.optional(v.string()),
  unitId: v.optional(v.string()),
  name: v.optional(v.string()),
  location: v.optional(Location),
  model: v.optional(v.string()),
  user: v.optional(v.string()),
  compliance: v.pipe(ComplianceName, v.description('From the latest posture report; `unknown` if there is none')),
  clinical: v.optional(
    v.pipe(
      v.object({
        state: v.picklist(Object.values(ClinicalState)),
        at: time,
        operatingMode: v.optional(v.picklist(Object.values(OperatingMode))),
        activationState: v.optional(v.picklist(Object.values(ActivationState))),
        contextAssociation: v.optional(v.picklist(Object.values(ContextAssociation))),
        ageUnknown: v.optional(
          v.pipe(
            v.literal(true),
            v.description("The report was late or the device's clock is wrong: it proves nothing about the present"),
          ),
        ),
      }),
      v.description(
        'Clinical use since `at`, as reported by the device; `operatingMode`, `activationState` and `contextAssociation` as in IEEE 11073-10207',
      ),
    ),
  ),
  power: v.optional(
    v.pipe(
      v.object({ charging: v.optional(v.boolean()), percent: v.optional(v.number()) }),
      v.description('From the latest posture report'),
    ),
  ),
  signals: v.optional(
    v.pipe(
      v.object({ 'ehr-occupancy': v.optional(SignalView), session: v.optional(SignalView) }),
      v.description('Signs of use from other systems'),
    ),
  ),
  connected: v.optional(
    v.pipe(
      v.object({ state: v.boolean(), at: time }),
      v.description('Whether it is connected, and since when; absent if it never was'),
    ),
  ),
  channel: v.optional(v.picklist(Object.values(Channel))),
  lastSeenAt: v.optional(v.pipe(time, v.description('Last check-in, updated at most once an hour'))),
  createdAt: time,
  enrolledAt: v.optional(time),
  certificateExpiresAt: v.optional(time),
  desiredVersion: v.number(),
  reportedVersion: v.optional(v.number()),
  version: v.pipe(v.number(), v.description('Increases with each change by a person and each enrollment; the ETag')),
});
export type DeviceView = v.InferOutput<typeof DeviceView>;

const Report = v.object({ at: time, report: v.record(v.string(), v.unknown()) });

/** A device with what it reported of itself. */
export const DeviceDetail = v.object({
  ...DeviceView.entries,
  inventory: v.optional(v.pipe(Report, v.description('Hardware and software, as reported by the device'))),
  posture: v.optional(v.pipe(Report, v.description('Security state, as reported by the device'))),
});

/** Filters of the device list; together they narrow it. */
export const DeviceQuery = v.pipe(
  v.strictObject({
    ...pageEntries,
    site: v.optional(v.pipe(SiteId, v.description('Devices at this site'))),
    unit: v.optional(v.pipe(UnitId, v.description('Devices in this care unit; requires `site`'))),
    platform: v.optional(PlatformName),
    class: v.optional(ClassName),
    state: v.optional(v.pipe(LifecycleName, v.description('Lifecycle state'))),
    compliance: v.optional(ComplianceName),
    serial: v.optional(v.pipe(Serial, v.description('The device with this serial number'))),
    user: v.optional(text('Devices assigned to this user')),
  }),
  v.forward(
    v.check((query) => query.unit === undefined || query.site !== undefined, 'needs site beside it'),
    ['unit'],
  ),
);
export type DeviceQuery = v.InferOutput<typeof DeviceQuery>;

/** Most bytes of an uploaded list: what one request through API Gateway and Lambda can carry with room to spare. */
export const listLimitBytes = 4 * 1024 * 1024;

/** The operations on devices and imports. */
export const deviceOperations = {
  listDevices: {
    summary: 'List devices',
    description:
      'Only devices that the caller may read. A page makes a bounded number of reads, so it may hold fewer than `limit` devices, even none, and still have a `next`.',
    tag,
    query: DeviceQuery,
    answer: { status: 200, description: 'A page of devices', schema: pageOf(DeviceView) },
  },
  createDevice: {
    summary: 'Pre-register a device',
    description:
      'Allows the device to enroll. Repeating the same registration changes nothing. A revoked device becomes `expected` again.',
    tag,
    body: DeviceInput,
    answer: { status: 201, description: 'The device', schema: DeviceView, etag: true, location: true },
    problems: [409],
  },
  importDevices: {
    summary: 'Import a list of devices',
    description:
      'Pre-registers each device of a CSV file with a header row, a JSON array of objects, or JSON Lines. Recognized columns: serial, platform, class, ownership, site, unit (ids or names), name, model, user, in common spellings. Returns at once and runs in the background. Importing the same list again changes nothing.',
    tag: imports,
    file: {
      mediaTypes: ['text/csv', 'application/csv', 'application/json', 'application/x-ndjson', 'application/jsonl'],
      limitBytes: listLimitBytes,
    },
    answer: { status: 202, description: 'The import', schema: ImportView, location: true },
    problems: [413, 415],
  },
  getDevice: {
    summary: 'Get a device',
    description: 'With its latest inventory and posture.',
    tag,
    answer: { status: 200, description: 'The device', schema: DeviceDetail, etag: true },
  },
  updateDevice: {
    summary: 'Update a device',
    description:
      'Changes its placement, name or assignment. Omitted members keep their value; `null` removes one. Moving to another site requires the permission at both. An enrolled device cannot leave the place of a pulled brake, nor change to a less protected class (409).',
    tag,
    body: DevicePatch,
    conditional: true,
    answer: { status: 200, description: 'The updated device', schema: DeviceView, etag: true },
    problems: [409],
  },
  deleteDevice: {
    summary: 'Delete a pre-registration',
    description: 'Only while the device is `expected`. Revoke an enrolled device instead: its audit trail stays.',
    tag,
    conditional: true,
    answer: { status: 204, description: 'Deleted' },
    problems: [409],
  },
  listDeviceAudit: auditSpec('device'),
  getImport: {
    summary: 'Get an import',
    description: 'Its state and how many rows are done.',
    tag: imports,
    answer: { status: 200, description: 'The import', schema: ImportView },
  },
  getImportReport: {
    summary: 'List the results of an import',
    description:
      'One for each row, in the order of the list. A page holds the rows that were processed together; `limit` has no effect.',
    tag: imports,
    query: v.strictObject(pageEntries),
    answer: { status: 200, description: 'A page of results', schema: pageOf(RowResult) },
  },
} as const;
