import type { DeviceClass, DeviceId } from '../../devices/device.ts';
import { compareVersions } from './version-order.ts';

/** What planning knows of a device. Nothing of it changes while a plan is made. */
export interface Candidate {
  readonly id: DeviceId;
  readonly enrolled: boolean;
  readonly siteId?: string;
  readonly unitId?: string;
  /** What kind of unit it stands in: the acuity tier. */
  readonly unitType: string;
  readonly class: DeviceClass;
  readonly model?: string;
  readonly hardwareRevision?: string;
  /** Of what the rollout replaces, as the device reported it last. */
  readonly version?: string;
  readonly tags?: readonly string[];
  /** 0 to 100; missing counts as 0. */
  readonly riskScore?: number;
  /** Whether an advisory about it is open. */
  readonly openAdvisory?: boolean;
  /** The rollout of the same kind of artifact that it is in and has not finished. */
  readonly busyWith?: string;
}

/**
 * Which devices a rollout is for. All that is said must hold; what is not said does not matter. An empty list selects
 * nobody, so that a filter that found nothing never means everything.
 */
export interface Selection {
  readonly siteIds?: readonly string[];
  readonly unitIds?: readonly string[];
  readonly classes?: readonly DeviceClass[];
  readonly models?: readonly string[];
  /** All of these. */
  readonly tags?: readonly string[];
  /** The versions from which the artifact may be installed, `from` included and `below` not. */
  readonly versions?: { readonly from?: string; readonly below?: string };
}

/** Why a selected device takes no part. */
export const Ineligibility = {
  /** It has no certificate: it would never fetch anything. */
  NotEnrolled: 'not-enrolled',
  /** Without a site and a unit there is no window, no spare and nobody to ask. */
  NotPlaced: 'not-placed',
  /** It has the version already. */
  AlreadyThere: 'already-there',
  /** It said no version, or one that cannot be compared. */
  VersionUnknown: 'version-unknown',
  /** Its version is not one that the artifact may be installed from. */
  VersionOutOfRange: 'version-out-of-range',
  /** Another rollout of the same kind has not finished with it. */
  OtherRollout: 'other-rollout',
  /** It was taken to another unit since the plan was made: that unit's spares were never looked at. */
  Moved: 'moved',
} as const;
export type Ineligibility = (typeof Ineligibility)[keyof typeof Ineligibility];

/** Whether the rollout is for this device at all. Its version is not looked at: a device of the wrong one is shown with the reason. */
export function isSelected(selection: Selection, device: Candidate): boolean {
  const { siteIds, unitIds, classes, models, tags } = selection;
  const within = (list: readonly string[] | undefined, value: string | undefined) =>
    list === undefined || (value !== undefined && list.includes(value));
  return (
    within(siteIds, device.siteId) &&
    within(unitIds, device.unitId) &&
    within(classes, device.class) &&
    within(models, device.model) &&
    (tags === undefined || (tags.length > 0 && tags.every((tag) => device.tags?.includes(tag) === true)))
  );
}

/**
 * Why a selected device cannot take part; undefined when it can.
 *
 * @param target the version that the rollout brings
 */
export function ineligibilityOf(
  device: Candidate,
  target: string,
  versions: Selection['versions'],
): Ineligibility | undefined {
  if (!device.enrolled) return Ineligibility.NotEnrolled;
  if (device.siteId === undefined || device.unitId === undefined) return Ineligibility.NotPlaced;
  if (device.version !== undefined && (device.version === target || compareVersions(device.version, target) === 0)) {
    return Ineligibility.AlreadyThere;
  }
  const range = rangeOf(device.version, versions);
  if (range !== undefined) return range;
  return device.busyWith === undefined ? undefined : Ineligibility.OtherRollout;
}

function rangeOf(version: string | undefined, versions: Selection['versions']): Ineligibility | undefined {
  const { from, below } = versions ?? {};
  if (from === undefined && below === undefined) return undefined;
  if (version === undefined) return Ineligibility.VersionUnknown;
  const overFrom = from === undefined ? 0 : compareVersions(version, from);
  const underBelow = below === undefined ? -1 : compareVersions(version, below);
  if (overFrom === undefined || underBelow === undefined) return Ineligibility.VersionUnknown;
  return overFrom >= 0 && underBelow < 0 ? undefined : Ineligibility.VersionOutOfRange;
}
