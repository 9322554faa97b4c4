import type { Device } from '../devices/device.ts';
import { longestDelay } from '../devices/report-time.ts';
import { installedVersion } from '../rollouts/plan/installed-version.ts';
import type { Artifact } from '../rollouts/rollout.ts';
import { type CommandStatus, CommandType, type StoredCommand } from './command.ts';

/**
 * What a report shows of the device, apart from what the device says of the command: evidence comes from the inventory
 * and posture that the device collects anyway, and from facts that Wardline sees itself (which certificate it used,
 * that it enrolled anew).
 */
export interface Evidence {
  /** Of this very message. */
  readonly inventory?: Readonly<Record<string, unknown>> | undefined;
  /**
   * As it was reported last. A device may send its inventory before the result of what changed it, and not again after: what
   * counts for an update is what runs, whichever came first. One from before the command was handed out shows nothing.
   */
  readonly storedInventory?: StoredInventory | undefined;
  readonly posture?:
    | { readonly locked?: boolean | 'unknown' | undefined; readonly bootedAt?: string | undefined }
    | undefined;
  /** The desired state that the device has, after this check-in. */
  readonly reportedVersion?: number | undefined;
  readonly device: Pick<Device, 'desiredVersion' | 'certificateSince' | 'enrolledAt'>;
  /**
   * How far the device's clock is ahead of ours, milliseconds: times that it reports are held against ours with it.
   */
  readonly clockAhead: number;
}

/** An inventory with the time of the message that it came with first (RFC 3339, `effectiveTime`). */
export interface StoredInventory {
  readonly at: string;
  readonly report: Readonly<Record<string, unknown>>;
}

/** How long an acknowledged command waits for evidence. */
export const verificationHours = 24;

/** How evidence shows that a command of the type took effect. A type that is not listed leaves no trace in a report. */
const shows: Partial<Record<CommandType, (command: StoredCommand, evidence: Evidence) => boolean>> = {
  [CommandType.Inventory]: (_command, { inventory }) => inventory !== undefined,
  [CommandType.Lock]: (_command, { posture }) => posture?.locked === true,
  [CommandType.Restart]: (command, { posture, clockAhead }) => {
    const handed = handedOutAt(command);
    if (posture?.bootedAt === undefined || handed === undefined) return false;
    return Date.parse(posture.bootedAt) - clockAhead > handed;
  },
  [CommandType.Wipe]: (command, { device }) => isAfterHandOut(command, device.enrolledAt),
  [CommandType.InstallUpdate]: ({ parameters }, { inventory }) => {
    const installed = installedVersion(inventory, { kind: 'os', name: 'os' });
    return installed !== undefined && installed === parameters['version'];
  },
  [CommandType.ActivateUpdate]: (command, { inventory, storedInventory, clockAhead }) => {
    // Written by the command writer from its schema, so their form is known.
    const { kind, name, version, back } = command.parameters as Pick<Artifact, 'kind' | 'name' | 'version'> & {
      back?: true;
    };
    const installed = installedVersion(inventory ?? reportSince(command, storedInventory, clockAhead), { kind, name });
    return installed !== undefined && (installed === version) !== (back === true);
  },
  [CommandType.ApplyConfig]: (command, { reportedVersion, device }) => {
    const wanted = command.parameters['version'] ?? device.desiredVersion;
    return typeof wanted === 'number' && reportedVersion !== undefined && reportedVersion >= wanted;
  },
  [CommandType.RotateCertificate]: (command, { device }) => isAfterHandOut(command, device.certificateSince),
};

/** Whether the effect of a command of this type can be seen in a report. */
export const isVerifiable = (type: CommandType): boolean => shows[type] !== undefined;

/** Whether the evidence shows that the command took effect. */
export function isVerifiedBy(command: StoredCommand, evidence: Evidence): boolean {
  return shows[command.type]?.(command, evidence) ?? false;
}

/** When the device got the command (our clock); when it was queued if that was never recorded. */
function handedOutAt(command: StoredCommand): number | undefined {
  const delivered: CommandStatus = 'delivered';
  const at = command.history.find((change) => change.status === delivered)?.at ?? command.createdAt;
  return Date.parse(at);
}

/** The report, if it is newer than the last time that the device got the command: what ran before is no evidence. */
function reportSince({ history }: StoredCommand, stored: StoredInventory | undefined, clockAhead: number) {
  const delivered: CommandStatus = 'delivered';
  const handed = history.findLast(({ status }) => status === delivered)?.at;
  if (stored === undefined || handed === undefined) return undefined;
  // A clock that is behind makes a report look older than it is; one that is too far behind was not believed.
  const behind = clockAhead < 0 && clockAhead >= -longestDelay ? -clockAhead : 0;
  return Date.parse(stored.at) + behind > Date.parse(handed) ? stored.report : undefined;
}

function isAfterHandOut(command: StoredCommand, time: string | undefined): boolean {
  const handed = handedOutAt(command);
  return time !== undefined && handed !== undefined && Date.parse(time) > handed;
}
