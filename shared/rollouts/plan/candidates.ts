import { Compliance } from '../../compliance/assess.ts';
import { type Device, type DeviceClass, type DeviceId, Lifecycle } from '../../devices/device.ts';
import type { AcuityTier } from '../../places/place.ts';
import { type Execution, isFinal } from '../executions/execution.ts';
import { type Advisory, isOpenOn } from './advisory.ts';
import { type Installable, installedVersion } from './installed-version.ts';
import type { Candidate, Selection } from './selection.ts';

/** What the list of a site's devices says of one, without a look at the device. */
export interface ListedDevice {
  readonly id: DeviceId;
  readonly siteId?: string;
  readonly unitId?: string;
  readonly class: DeviceClass;
  readonly lifecycle: Lifecycle;
}

/** What is stored of a device that planning looks at. */
export interface DeviceFacts {
  readonly device: Device;
  readonly inventory?: Readonly<Record<string, unknown>>;
  /** Its current execution of the rollout's kind of artifact. */
  readonly execution?: Execution;
}

/** The acuity tiers of a site's units. A unit that is not among them is not there any more. */
export type Tiers = ReadonlyMap<string, AcuityTier>;

/** Longest hardware revision that is told apart: it names a stratum, and so a count in a tally. */
const longestRevision = 40;

/** Of a device that is in no unit; it takes no part. */
const noUnit = 'none';

/**
 * Whether a device may be selected, by what the list says. One that may not is counted in its unit and needs no further
 * look.
 */
export function mayBeSelected({ siteIds, unitIds, classes }: Selection, listed: ListedDevice): boolean {
  const within = (list: readonly string[] | undefined, value: string | undefined) =>
    list === undefined || (value !== undefined && list.includes(value));
  return within(siteIds, listed.siteId) && within(unitIds, listed.unitId) && within(classes, listed.class);
}

/** A device that nobody looked at further. */
export function listedCandidate(listed: ListedDevice, tiers: Tiers): Candidate {
  const { id, siteId, unitId, lifecycle } = listed;
  return {
    id,
    enrolled: lifecycle === Lifecycle.Enrolled,
    class: listed.class,
    ...placeOf(siteId, unitId, tiers),
  };
}

/**
 * What planning knows of a device. Its place is that of the list, whatever it has become meanwhile: the devices of a
 * site come in a row.
 */
export function candidateOf(
  listed: ListedDevice,
  { device, inventory, execution }: DeviceFacts,
  tiers: Tiers,
  artifact: Installable,
  advisories: readonly Advisory[] = [],
): Candidate {
  const model = device.model ?? textOf(inventory?.['model']);
  const hardwareRevision = textOf(inventory?.['hardwareRevision'])?.slice(0, longestRevision);
  const version = installedVersion(inventory, artifact);
  const said = { ...(model === undefined ? {} : { model }), ...(version === undefined ? {} : { version }) };
  return {
    ...listedCandidate(listed, tiers),
    ...said,
    ...(hardwareRevision === undefined ? {} : { hardwareRevision }),
    tags: tagsOf(device),
    riskScore: riskScores[device.compliance ?? Compliance.Unknown],
    ...(advisories.some((advisory) => isOpenOn(advisory, said)) ? { openAdvisory: true } : {}),
    ...(execution === undefined || isFinal(execution) ? {} : { busyWith: execution.rolloutId }),
  };
}

/** A unit that is not there any more has no window, no spare and nobody to ask. */
function placeOf(siteId: string | undefined, unitId: string | undefined, tiers: Tiers) {
  const tier = unitId === undefined ? undefined : tiers.get(unitId);
  return {
    unitType: tier ?? noUnit,
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined || tier === undefined ? {} : { unitId }),
  };
}

/** What can be selected by besides place, class and model. */
const tagsOf = ({ platform, ownership, compliance = Compliance.Unknown }: Device): string[] => [
  `platform:${platform}`,
  `ownership:${ownership}`,
  `compliance:${compliance}`,
];

/** How urgent an update is: by the device's own security report, unknown between good and bad. */
const riskScores: Readonly<Record<Compliance, number>> = {
  [Compliance.Compliant]: 0,
  [Compliance.Unknown]: 50,
  [Compliance.NotCompliant]: 100,
};

/** A text of a report, if it says something. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  return text === '' || text === 'unknown' ? undefined : text;
}
