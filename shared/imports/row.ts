import * as v from 'valibot';
import { DeviceClass, Ownership, Platform } from '../devices/device.ts';
import { parseSerial } from '../enrollment/serial.ts';
import { isReadable } from '../http/text.ts';
import { encodeLocation, Location } from '../places/location.ts';
import { type Column, locationColumns } from './columns.ts';

/** The cells of a row that mean something, as text without surrounding blanks; empty cells are left out. */
export type Cells = Readonly<Partial<Record<Column, string>>>;

/** A row whose values are understood. Site and unit are still as written: an id or a name. */
export interface ParsedRow {
  readonly serial: string;
  readonly platform: Platform;
  readonly class: DeviceClass;
  readonly ownership: Ownership;
  readonly site?: string;
  readonly unit?: string;
  readonly name?: string;
  /** An HL7 PL. */
  readonly location?: string;
  readonly model?: string;
  readonly user?: string;
}

/** Why a row cannot be imported: everything that is wrong with it, for whoever corrects the list. */
export interface RowRefusal {
  readonly reasons: readonly string[];
}

/** What others call our platforms, reduced to letters and digits. */
const platforms: Readonly<Record<string, Platform>> = {
  apple: Platform.Apple,
  ios: Platform.Apple,
  ipados: Platform.Apple,
  macos: Platform.Apple,
  osx: Platform.Apple,
  android: Platform.Android,
  androidenterprise: Platform.Android,
  windows: Platform.Windows,
  windows10: Platform.Windows,
  windows11: Platform.Windows,
  win: Platform.Windows,
  linux: Platform.Linux,
  ubuntu: Platform.Linux,
  debian: Platform.Linux,
  rhel: Platform.Linux,
  iomt: Platform.Iomt,
  iot: Platform.Iomt,
  medical: Platform.Iomt,
  medicaldevice: Platform.Iomt,
};

/** What others call our classes, reduced to letters and digits. */
const classes: Readonly<Record<string, DeviceClass>> = {
  phone: DeviceClass.Phone,
  smartphone: DeviceClass.Phone,
  mobilephone: DeviceClass.Phone,
  iphone: DeviceClass.Phone,
  tablet: DeviceClass.Tablet,
  ipad: DeviceClass.Tablet,
  workstation: DeviceClass.Workstation,
  workstationonwheels: DeviceClass.Workstation,
  wow: DeviceClass.Workstation,
  pc: DeviceClass.Workstation,
  laptop: DeviceClass.Workstation,
  desktop: DeviceClass.Workstation,
  computer: DeviceClass.Workstation,
  infusionpump: DeviceClass.InfusionPump,
  pump: DeviceClass.InfusionPump,
  syringepump: DeviceClass.InfusionPump,
  patientmonitor: DeviceClass.PatientMonitor,
  monitor: DeviceClass.PatientMonitor,
  bedsidemonitor: DeviceClass.PatientMonitor,
  ventilator: DeviceClass.Ventilator,
  other: DeviceClass.Other,
};

const ownerships: Readonly<Record<string, Ownership>> = {
  organization: Ownership.Organization,
  organisation: Ownership.Organization,
  corporate: Ownership.Organization,
  company: Ownership.Organization,
  hospital: Ownership.Organization,
  personal: Ownership.Personal,
  byod: Ownership.Personal,
  employee: Ownership.Personal,
};

/** Longest free text of a cell, as of the API. */
const longestText = 120;

/** Understands a row, or says everything that is wrong with it. Missing class is `other`, missing ownership the organization's. */
export function parseRow(cells: Cells): ParsedRow | RowRefusal {
  const reasons: string[] = [];
  const serial = cells.serial === undefined ? undefined : parseSerial(cells.serial);
  if (cells.serial === undefined) reasons.push('The serial number is missing.');
  else if (serial === undefined)
    reasons.push('The serial number has characters or a length that no certificate can carry.');
  const platform = oneOf(cells.platform, platforms);
  if (cells.platform === undefined) reasons.push('The platform is missing.');
  else if (platform === undefined) reasons.push(`The platform must be one of ${Object.values(Platform).join(', ')}.`);
  const deviceClass = cells.class === undefined ? DeviceClass.Other : oneOf(cells.class, classes);
  if (deviceClass === undefined) reasons.push(`The class must be one of ${Object.values(DeviceClass).join(', ')}.`);
  const ownership = cells.ownership === undefined ? Ownership.Organization : oneOf(cells.ownership, ownerships);
  if (ownership === undefined) reasons.push(`The ownership must be one of ${Object.values(Ownership).join(', ')}.`);
  if (Object.values(cells).some((cell) => cell.includes('\u{fffd}'))) {
    reasons.push('The row has characters that are not UTF-8. Save the list as UTF-8.');
  }
  if (!Object.values(cells).every(isReadable)) reasons.push('The row has characters that cannot be shown.');
  if (cells.unit !== undefined && cells.site === undefined) reasons.push('A unit needs a site.');
  for (const column of ['name', 'model', 'user'] as const) {
    if ((cells[column]?.length ?? 0) > longestText) {
      reasons.push(`The ${column} may have at most ${longestText} characters.`);
    }
  }
  const location = locationOf(cells);
  if (location === 'wrong') {
    reasons.push('Each part of the location may have at most 40 characters, without ^ & ~ | and \\.');
  }
  if (
    reasons.length > 0 ||
    location === 'wrong' ||
    serial === undefined ||
    platform === undefined ||
    deviceClass === undefined ||
    ownership === undefined
  ) {
    return { reasons };
  }
  const { site, unit, name, model, user } = cells;
  return {
    serial,
    platform,
    class: deviceClass,
    ownership,
    ...(site === undefined ? {} : { site }),
    ...(unit === undefined ? {} : { unit }),
    ...(name === undefined ? {} : { name }),
    ...(location === undefined ? {} : { location }),
    ...(model === undefined ? {} : { model }),
    ...(user === undefined ? {} : { user }),
  };
}

/** The location as the record keeps it; undefined when the row names none. */
function locationOf(cells: Cells): string | undefined | 'wrong' {
  if (locationColumns.every((column) => cells[column] === undefined)) return undefined;
  const { plFacility: facility, building, floor, pointOfCare, room, bed } = cells;
  const parsed = v.safeParse(Location, { facility, building, floor, pointOfCare, room, bed });
  return parsed.success ? encodeLocation(parsed.output) : 'wrong';
}

function oneOf<Value>(text: string | undefined, values: Readonly<Record<string, Value>>): Value | undefined {
  const word = text?.toLowerCase().replace(/[^a-z0-9]/g, '');
  return word !== undefined && Object.hasOwn(values, word) ? values[word] : undefined;
}
