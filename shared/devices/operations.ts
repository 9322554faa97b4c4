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
  v.description('As printed on the device: letters, digits, blanks and ()+,-./:'),
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
  unitId: v.optional(v.pipe(UnitId, v.description('Needs `siteId`'))),
  name: v.optional(text('As people call it')),
  location: v.optional(Location),
  model: v.optional(text('Model')),
  user: v.optional(text("Who it is assigned to: a user name of the hospital's directory")),
});
export type DeviceInput = v.InferOutput<typeof DeviceInput>;

/** What may be changed of a device; `null` removes. */
export const DevicePatch = v.strictObject({
  siteId: v.optional(v.nullable(v.pipe(SiteId, v.description('A device that leaves its site leaves its unit too')))),
  unitId: v.optional(v.nullable(UnitId)),
  name: v.optional(v.nullable(text('As people call it'))),
  location: v.optional(v.nullable(v.pipe(Location, v.description('Replaced whole')))),
  model: v.optional(v.nullable(text('Model'))),
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
  compliance: v.pipe(ComplianceName, v.description('From the last security report; never reported is `unknown`')),
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
            v.description('Its message was late or its clock is wrong: it proves nothing of now'),
          ),
        ),
      }),
      v.description(
        'Clinical use since that time, as the device said it; the last three in the words of IEEE 11073-10207',
      ),
    ),
  ),
  power: v.optional(
    v.pipe(
      v.object({ charging: v.optional(v.boolean()), percent: v.optional(v.number()) }),
      v.description('As the last posture report had it'),
    ),
  ),
  signals: v.optional(
    v.pipe(
      v.object({ 'ehr-occupancy': v.optional(SignalView), session: v.optional(SignalView) }),
      v.description('What other systems say of its use'),
    ),
  ),
  connected: v.optional(
    v.pipe(
      v.object({ state: v.boolean(), at: time }),
      v.description('Whether it holds a connection, since when; missing for devices that never had one'),
    ),
  ),
  channel: v.optional(v.picklist(Object.values(Channel))),
  lastSeenAt: v.optional(v.pipe(time, v.description('Last check-in, noted at most once an hour'))),
  createdAt: time,
  enrolledAt: v.optional(time),
  certificateExpiresAt: v.optional(time),
  desiredVersion: v.number(),
  reportedVersion: v.optional(v.number()),
  version: v.pipe(v.number(), v.description('Grows with each change by a person or an enrolment; the ETag')),
});
export type DeviceView = v.InferOutput<typeof DeviceView>;

const Report = v.object({ at: time, report: v.record(v.string(), v.unknown()) });

/** A device with what it reported of itself. */
export const DeviceDetail = v.object({
  ...DeviceView.entries,
  inventory: v.optional(v.pipe(Report, v.description('Hardware and software, as the device reported it'))),
  posture: v.optional(v.pipe(Report, v.description('Security state, as the device reported it'))),
});

/** Filters of the device list; together they narrow it. */
export const DeviceQuery = v.pipe(
  v.strictObject({
    ...pageEntries,
    site: v.optional(v.pipe(SiteId, v.description('Devices of this site'))),
    unit: v.optional(v.pipe(UnitId, v.description('Devices of this care unit; needs `site`'))),
    platform: v.optional(PlatformName),
    class: v.optional(ClassName),
    state: v.optional(v.pipe(LifecycleName, v.description('Where the device is in its life'))),
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
      'Only devices that the caller may read, at their sites. A page can hold fewer than `limit` devices, even none, and still have a next one: a page makes a bounded number of reads, however rare the match.',
    tag,
    query: DeviceQuery,
    answer: { status: 200, description: 'A page of devices', schema: pageOf(DeviceView) },
  },
  createDevice: {
    summary: 'Pre-register a device',
    description:
      'The device may then enrol. The same registration again changes nothing. A revoked device is expected anew.',
    tag,
    body: DeviceInput,
    answer: { status: 201, description: 'The device', schema: DeviceView, etag: true, location: true },
    problems: [409],
  },
  importDevices: {
    summary: 'Pre-register the devices of a list',
    description:
      'CSV with headings, a JSON list of objects, or one JSON object a line. Understood columns: serial, platform, class, ownership, site, unit (ids or names), name, model, user, in many spellings. Answered at once; the work goes on behind it. Importing the same list again changes nothing.',
    tag: imports,
    file: {
      mediaTypes: ['text/csv', 'application/csv', 'application/json', 'application/x-ndjson', 'application/jsonl'],
      limitBytes: listLimitBytes,
    },
    answer: { status: 202, description: 'The import', schema: ImportView, location: true },
    problems: [413, 415],
  },
  getDevice: {
    summary: 'Read a device with what it reported',
    tag,
    answer: { status: 200, description: 'The device', schema: DeviceDetail, etag: true },
  },
  updateDevice: {
    summary: 'Change placement, names or assignment of a device',
    description:
      'Members that are left out stay as they are; `null` removes. Moving to another site needs the permission at both. Refused (409) for an enrolled device: out of the place of a pulled brake, and to a class that is protected less.',
    tag,
    body: DevicePatch,
    conditional: true,
    answer: { status: 200, description: 'The device after the change', schema: DeviceView, etag: true },
    problems: [409],
  },
  deleteDevice: {
    summary: 'Take back a pre-registration',
    description: 'Only for a device that is still expected. One that enrolled is revoked instead, and its trail stays.',
    tag,
    conditional: true,
    answer: { status: 204, description: 'Deleted' },
    problems: [409],
  },
  listDeviceAudit: auditSpec('device'),
  getImport: {
    summary: 'Read how far an import is',
    tag: imports,
    answer: { status: 200, description: 'The import', schema: ImportView },
  },
  getImportReport: {
    summary: 'Read what became of each row of an import',
    description: 'In the order of the list. A page has the rows that were carried out together; `limit` has no effect.',
    tag: imports,
    query: v.strictObject(pageEntries),
    answer: { status: 200, description: 'A page of results', schema: pageOf(RowResult) },
  },
} as const;
