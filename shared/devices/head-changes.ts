import { contentHash } from '../canonical-json.ts';
import { assess } from '../compliance/assess.ts';
import type { CheckInMessage } from '../protocols/agent/messages.ts';
import type { ClinicalReport, Device, Power, StoredReport } from './device.ts';
import { heartbeatMilliseconds } from './intervals.ts';
import { type Caller, recognize } from './recognize.ts';
import { believedTime, effectiveTime, observationTime } from './report-time.ts';

/** What a check-in changes of the head. */
export type HeadChanges = Partial<
  Pick<
    Device,
    | 'lastSeenAt'
    | 'channel'
    | 'clinical'
    | 'inventory'
    | 'posture'
    | 'power'
    | 'compliance'
    | 'reportedVersion'
    | 'reportedAt'
    | 'certificate'
    | 'certificateSince'
    | 'certificateExpiresAt'
  >
> & {
  /** The renewed certificate was used: it is the pinned one now, and no other waits. */
  readonly promotes?: true;
};

/**
 * What the message changes of the head; undefined when nothing: it says nothing new, or only what is older than what
 * is known.
 *
 * @param receivedAt milliseconds, our clock
 */
export function headChanges(
  device: Device,
  caller: Caller,
  message: CheckInMessage,
  receivedAt: number,
): HeadChanges | undefined {
  const at = new Date(effectiveTime(message.at, receivedAt)).toISOString();
  const changes: HeadChanges = {
    ...promotion(device, caller, receivedAt),
    ...clinicalChange(device, message, receivedAt),
    ...reportChange('inventory', device.inventory, message.inventory, at),
    ...postureChange(device, message, at),
    ...versionChange(device, message, at),
  };
  const due = device.lastSeenAt === undefined || Date.parse(device.lastSeenAt) <= receivedAt - heartbeatMilliseconds;
  if (!due && Object.keys(changes).length === 0) return undefined;
  return { ...changes, ...seen(device, caller, receivedAt) };
}

/** Whoever writes anyway notes the time; it never goes back. */
function seen(device: Device, caller: Caller, receivedAt: number): HeadChanges {
  const lastSeenAt = new Date(receivedAt).toISOString();
  if (device.lastSeenAt !== undefined && device.lastSeenAt >= lastSeenAt) return {};
  return { lastSeenAt, channel: caller.channel };
}

function promotion(device: Device, caller: Caller, receivedAt: number): HeadChanges {
  if (recognize(device, caller) !== 'next') return {};
  return {
    promotes: true,
    certificate: caller.certificate,
    certificateSince: new Date(receivedAt).toISOString(),
    ...(device.nextCertificateExpiresAt === undefined ? {} : { certificateExpiresAt: device.nextCertificateExpiresAt }),
  };
}

function clinicalChange(device: Device, message: CheckInMessage, receivedAt: number): HeadChanges {
  if (message.clinical === undefined) return {};
  const { clinical: known } = device;
  const { state, at: since, operatingMode, activationState, contextAssociation } = message.clinical;
  const said: ClinicalReport = {
    state,
    at: new Date(observationTime(since, message.at, receivedAt)).toISOString(),
    ...(operatingMode === undefined ? {} : { operatingMode }),
    ...(activationState === undefined ? {} : { activationState }),
    ...(contextAssociation === undefined ? {} : { contextAssociation }),
    ...(believedTime(message.at, receivedAt) === undefined ? { ageUnknown: true as const } : {}),
  };
  if (known !== undefined && (saysSame(known, said) || said.at < known.at)) return {};
  return { clinical: said };
}

/**
 * When the device itself last said what its record holds of its clinical use: with this message, or undefined when the
 * message says nothing of it, something that is older than the record, or nobody can tell how old it is.
 *
 * @param device the head with what this check-in changes of it
 * @returns milliseconds, our clock
 */
export function clinicalSaidAt(device: Device, message: CheckInMessage, receivedAt: number): number | undefined {
  if (message.clinical === undefined || device.clinical === undefined) return undefined;
  return saysSame(message.clinical, device.clinical) ? believedTime(message.at, receivedAt) : undefined;
}

type Use = Pick<NonNullable<CheckInMessage['clinical']>, keyof Omit<ClinicalReport, 'at' | 'ageUnknown'>>;

/** Whether two reports say the same of the use, whenever it began. */
function saysSame(one: Use, other: Use): boolean {
  return (
    one.state === other.state &&
    one.operatingMode === other.operatingMode &&
    one.activationState === other.activationState &&
    one.contextAssociation === other.contextAssociation
  );
}

function reportChange(
  kind: 'inventory' | 'posture',
  known: StoredReport | undefined,
  report: Readonly<Record<string, unknown>> | undefined,
  at: string,
): HeadChanges {
  if (report === undefined) return {};
  const hash = contentHash(report);
  if (known !== undefined && (known.hash === hash || at < known.at)) return {};
  return { [kind]: { hash, at } };
}

/** A new security report is assessed at once, so that lists can be filtered by the result. */
function postureChange(device: Device, message: CheckInMessage, at: string): HeadChanges {
  const change = reportChange('posture', device.posture, message.posture, at);
  if (change.posture === undefined || message.posture === undefined) return change;
  const compliance = assess(message.posture);
  return {
    ...change,
    power: powerOf(message.posture),
    ...(compliance === device.compliance ? {} : { compliance }),
  };
}

/** What a posture report says of power: `battery` {percent, charging}, `docked`. What it does not say stays unknown. */
export function powerOf(posture: Readonly<Record<string, unknown>>): Power {
  const { battery, docked } = posture;
  const said: Readonly<Record<string, unknown>> = typeof battery === 'object' && battery !== null ? { ...battery } : {};
  const { percent, charging } = said;
  const plugged = docked === true ? true : charging;
  return {
    ...(typeof plugged === 'boolean' ? { charging: plugged } : {}),
    ...(typeof percent === 'number' && percent >= 0 && percent <= 100 ? { percent: Math.round(percent) } : {}),
  };
}

function versionChange(device: Device, message: CheckInMessage, at: string): HeadChanges {
  if (message.desiredVersion === undefined || message.desiredVersion === device.reportedVersion) return {};
  if (device.reportedAt !== undefined && at < device.reportedAt) return {};
  return { reportedVersion: message.desiredVersion, reportedAt: at };
}
