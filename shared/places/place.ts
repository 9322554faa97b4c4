import * as v from 'valibot';
import { DeviceClass } from '../devices/device.ts';
import { Blackout, Freeze, listOf, WeeklyWindow } from './calendar.ts';

/** How much harm an interruption does where the device stands (safety rule R7). */
export const AcuityTier = {
  /** Operating rooms, catheter labs, intensive care, emergency, labour and delivery, dialysis. */
  T0: 'T0',
  /** Step-down and telemetry. */
  T1: 'T1',
  /** Medical-surgical wards and clinics. */
  T2: 'T2',
  /** Administration. */
  T3: 'T3',
} as const;
export type AcuityTier = (typeof AcuityTier)[keyof typeof AcuityTier];

/**
 * Whether this is a zone of the IANA time zone database. Offsets (`+02:00`) are refused: maintenance windows are kept
 * in local time across daylight saving, which an offset does not know.
 */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // JavaScript takes `america/chicago` too, but the scheduler that opens windows compares letters exactly.
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}

const Name = v.pipe(
  v.string(),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(120, 'must have at most 120 characters'),
  v.regex(/^[^\t\n\r]*$/, 'must be one line'),
  v.description('Display name'),
);

const TimeZone = v.pipe(
  v.string(),
  v.maxLength(64, 'must have at most 64 characters'),
  v.check(isTimeZone, 'must be a zone of the IANA time zone database, for example America/Chicago'),
  v.description('IANA time zone, for example `America/Chicago`'),
);

const Tier = v.pipe(
  v.picklist(Object.values(AcuityTier)),
  v.description(
    'Acuity tier. T0: intensive care, operating rooms, emergency; T1: step-down; T2: wards and clinics; T3: administration',
  ),
);

const windows = (description: string) => v.pipe(listOf(WeeklyWindow, 21), v.description(description));
const blackouts = (description: string) => v.pipe(listOf(Blackout, 21), v.description(description));

const Freezes = v.pipe(
  listOf(Freeze, 50),
  v.description('Periods in which nothing is installed, whatever the windows say'),
);

const Spare = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000)));

/** The least number of working devices of each class that must stay in service (safety rule R8). */
export const Spares = v.pipe(
  v.strictObject({
    [DeviceClass.Phone]: Spare,
    [DeviceClass.Tablet]: Spare,
    [DeviceClass.Workstation]: Spare,
    [DeviceClass.InfusionPump]: Spare,
    [DeviceClass.PatientMonitor]: Spare,
    [DeviceClass.Ventilator]: Spare,
    [DeviceClass.Other]: Spare,
  } satisfies Record<DeviceClass, typeof Spare>),
  v.description('Minimum number of working devices of each class that must stay in service in the unit'),
);
export type Spares = v.InferOutput<typeof Spares>;

const siteCalendar = {
  maintenanceWindows: windows(
    'When updates may be installed in units that set no windows of their own; an empty list means any time',
  ),
  blackouts: blackouts('Shift changes, in units that set none of their own'),
  freezes: Freezes,
};

const unitCalendar = {
  maintenanceWindows: windows("Replaces the site's windows; an empty list means any time"),
  blackouts: blackouts("Replaces the site's blackouts"),
};

/** What a person says of a new site. */
export const SiteInput = v.strictObject({
  name: Name,
  timeZone: TimeZone,
  maintenanceWindows: v.optional(siteCalendar.maintenanceWindows, []),
  blackouts: v.optional(siteCalendar.blackouts, []),
  freezes: v.optional(siteCalendar.freezes, []),
});
export type SiteInput = v.InferOutput<typeof SiteInput>;

/** What may be changed of a site; a list is replaced whole. */
export const SiteChanges = v.partial(v.strictObject({ name: Name, timeZone: TimeZone, ...siteCalendar }));
export type SiteChanges = v.InferOutput<typeof SiteChanges>;

/** What a person says of a new care unit. */
export const UnitInput = v.strictObject({
  name: Name,
  acuityTier: Tier,
  timeZone: v.optional(v.pipe(TimeZone, v.description("Only if it differs from the site's"))),
  maintenanceWindows: v.optional(unitCalendar.maintenanceWindows),
  blackouts: v.optional(unitCalendar.blackouts),
  spares: v.optional(Spares),
});
export type UnitInput = v.InferOutput<typeof UnitInput>;

/** What may be changed of a care unit; a list is replaced whole, `null` goes back to what the site says. */
export const UnitChanges = v.strictObject({
  name: v.optional(Name),
  acuityTier: v.optional(Tier),
  timeZone: v.optional(v.nullable(TimeZone)),
  maintenanceWindows: v.optional(v.nullable(unitCalendar.maintenanceWindows)),
  blackouts: v.optional(v.nullable(unitCalendar.blackouts)),
  spares: v.optional(v.nullable(Spares)),
});
export type UnitChanges = v.InferOutput<typeof UnitChanges>;

const kept = {
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  updatedAt: v.pipe(v.string(), v.isoTimestamp()),
  version: v.pipe(
    v.number(),
    v.integer(),
    v.description('Increases with each change; the ETag is this number in quotes'),
  ),
};

/** A site (hospital, clinic) as stored and shown. */
export const Site = v.object({
  id: v.string(),
  name: v.string(),
  timeZone: v.string(),
  // A site of before there were calendars has none.
  maintenanceWindows: v.optional(siteCalendar.maintenanceWindows, []),
  blackouts: v.optional(siteCalendar.blackouts, []),
  freezes: v.optional(siteCalendar.freezes, []),
  ...kept,
});
export type Site = v.InferOutput<typeof Site>;

/** A care unit as stored and shown. */
export const Unit = v.object({
  id: v.string(),
  siteId: v.string(),
  name: v.string(),
  acuityTier: Tier,
  timeZone: v.optional(v.string()),
  maintenanceWindows: v.optional(unitCalendar.maintenanceWindows),
  blackouts: v.optional(unitCalendar.blackouts),
  spares: v.optional(Spares),
  ...kept,
});
export type Unit = v.InferOutput<typeof Unit>;

/** The form of a site's id: `s-` and a ULID in lower case. */
export const SiteId = v.pipe(v.string(), v.regex(/^s-[0-9a-z]{26}$/, 'must be the id of a site'));

/** The form of a unit's id: `u-` and a ULID in lower case. */
export const UnitId = v.pipe(v.string(), v.regex(/^u-[0-9a-z]{26}$/, 'must be the id of a unit'));
