/** What a row may say of a device. */
export type Column =
  | 'serial'
  | 'platform'
  | 'class'
  | 'ownership'
  | 'site'
  | 'unit'
  | 'name'
  | 'model'
  | 'user'
  | LocationColumn;

/** Columns that together are the location (HL7 PL). */
export const locationColumns = ['plFacility', 'building', 'floor', 'pointOfCare', 'room', 'bed'] as const;
type LocationColumn = (typeof locationColumns)[number];

/**
 * Headings as they occur in exports of purchasing, CMMS and other device management systems, reduced to letters and
 * digits in lower case.
 */
const headings: Readonly<Record<Column, readonly string[]>> = {
  serial: ['serial', 'serialnumber', 'serialno', 'serialnum', 'sn', 'devicesn', 'deviceserial', 'deviceserialnumber'],
  platform: ['platform', 'os', 'operatingsystem', 'osname', 'ostype', 'deviceplatform'],
  class: ['class', 'deviceclass', 'type', 'devicetype', 'category', 'devicecategory', 'kind'],
  ownership: ['ownership', 'deviceownership', 'ownertype', 'ownedby'],
  site: ['site', 'siteid', 'sitename', 'hospital', 'facility', 'facilityname', 'clinic', 'campus', 'location'],
  unit: ['unit', 'unitid', 'unitname', 'careunit', 'ward', 'department', 'dept', 'nursingunit'],
  name: ['name', 'devicename', 'assetname', 'assettag', 'asset', 'tag', 'label', 'hostname'],
  model: ['model', 'modelname', 'devicemodel', 'product', 'productname', 'modelnumber'],
  plFacility: ['plfacility', 'ehrfacility', 'adtfacility'],
  building: ['building', 'buildingname', 'bldg', 'tower'],
  floor: ['floor', 'level', 'storey'],
  pointOfCare: ['pointofcare', 'poc', 'ehrunit', 'nursestation'],
  room: ['room', 'roomnumber', 'roomno'],
  bed: ['bed', 'bedid', 'bedlabel', 'bednumber'],
  user: ['user', 'username', 'assigneduser', 'assignedto', 'assignee', 'useremail', 'upn'],
};

const columnByHeading = new Map(
  Object.entries(headings).flatMap(([column, names]) => names.map((name) => [name, column as Column] as const)),
);

/** What the headings of a list mean. */
export interface Header {
  /** The column at each position; undefined where the heading means nothing to us or repeats an earlier one. */
  readonly columns: readonly (Column | undefined)[];
  /** The headings that are ignored, as written. */
  readonly ignored: readonly string[];
}

/** The column that a heading or JSON member means, however it is capitalized, spaced or punctuated. */
export function columnOf(heading: string): Column | undefined {
  return columnByHeading.get(heading.toLowerCase().replace(/[^a-z0-9]/g, ''));
}

/** Reads the headings. A list without a serial column cannot be imported; ask `columns.includes('serial')`. */
export function readHeader(cells: readonly string[]): Header {
  const seen = new Set<Column>();
  const ignored: string[] = [];
  const columns = cells.map((cell) => {
    const column = columnOf(cell);
    if (column === undefined || seen.has(column)) {
      if (cell.trim() !== '') ignored.push(cell.trim().slice(0, 100));
      return undefined;
    }
    seen.add(column);
    return column;
  });
  return { columns, ignored };
}
