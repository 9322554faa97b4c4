import * as v from 'valibot';
import { CommandType } from '../commands/command.ts';
import { Gate, type GateDecision, GateEffect } from '../commands/gates/gate.ts';
import type { Device } from '../devices/device.ts';
import { SiteId, UnitId } from '../places/place.ts';

/** How far a brake reaches. */
export const BrakeScope = { Network: 'network', Site: 'site', Unit: 'unit' } as const;
export type BrakeScope = (typeof BrakeScope)[keyof typeof BrakeScope];

/** What a brake stops, by place. */
export interface BrakePlace {
  readonly scope: BrakeScope;
  /** For `site` and `unit`. */
  readonly siteId?: string;
  /** For `unit`. */
  readonly unitId?: string;
}

/** The first of the two people who release a brake. */
export interface ReleaseRequest {
  /** `user:<sub>` */
  readonly by: string;
  readonly at: string;
  /** Until when the second person must have agreed (RFC 3339). */
  readonly expiresAt: string;
  readonly reason: string;
}

/** A brake that is pulled. */
export interface Brake extends BrakePlace {
  readonly reason: string;
  /** `user:<sub>` */
  readonly pulledBy: string;
  readonly pulledAt: string;
  readonly release?: ReleaseRequest;
  /** Grows with each change; a write names the version that it was decided on. */
  readonly version: number;
}

/** A second person has this long to agree to a release. */
export const releaseMinutes = 60;

/** A command that the brake holds is looked at again after this, and at every check-in before. */
export const brakeRelookMinutes = 5;

/**
 * What the brake stops: everything that takes a device away from whoever uses it, or changes how it works. Asking,
 * finding, telling and collecting goes on, so that people can see what happens.
 */
export const brakedTypes: ReadonlySet<string> = new Set<CommandType>([
  CommandType.Wipe,
  CommandType.InstallUpdate,
  // Fetching disturbs nobody, but what must not spread is stopped before it lies on every device.
  CommandType.DownloadUpdate,
  CommandType.ActivateUpdate,
  CommandType.Restart,
  CommandType.Lock,
  CommandType.ApplyConfig,
]);

/** Words for the scope of a brake. */
export const nameOfPlace = ({ scope, siteId, unitId }: BrakePlace): string =>
  scope === BrakeScope.Network ? 'the whole network' : scope === BrakeScope.Site ? `site ${siteId}` : `unit ${unitId}`;

/** Whether the brake reaches a device that is placed there. */
export function reaches(brake: BrakePlace, device: Pick<Device, 'siteId' | 'unitId'>): boolean {
  switch (brake.scope) {
    case BrakeScope.Network:
      return true;
    case BrakeScope.Site:
      return device.siteId === brake.siteId;
    case BrakeScope.Unit:
      return device.siteId === brake.siteId && device.unitId === brake.unitId;
  }
}

/** A pulled brake that reaches the device where it stands and would no longer where it goes, if there is one. */
export function brakeLeftBehind(
  brakes: readonly Brake[],
  before: Pick<Device, 'siteId' | 'unitId'>,
  after: Pick<Device, 'siteId' | 'unitId'>,
): Brake | undefined {
  return brakes.find((brake) => reaches(brake, before) && !reaches(brake, after));
}

/** When a command is looked at: before it is stored (then a brake refuses it) or before it is handed out (then it waits). */
export type BrakeMoment = 'write' | 'hand-out';

/**
 * The last gate (R4). Pure.
 *
 * @param type of the command; `revoke` for the revocation of a device's certificate
 */
export function brakeDecision(
  brakes: readonly Brake[],
  type: CommandType | 'revoke',
  device: Pick<Device, 'siteId' | 'unitId'>,
  moment: BrakeMoment,
  now: Date,
): GateDecision {
  const common = { gate: Gate.Brake, at: now.toISOString(), ruleId: 'R4' } as const;
  if (type !== 'revoke' && !brakedTypes.has(type)) {
    return { ...common, effect: GateEffect.Allow, reason: `The brake does not stop ${type}.`, inputs: [] };
  }
  const pulled = brakes.filter((brake) => reaches(brake, device));
  const inputs = pulled.map((brake) => ({
    signal: 'brake',
    value: nameOfPlace(brake),
    source: brake.pulledBy,
    at: brake.pulledAt,
    ageSeconds: Math.max(0, Math.round((now.getTime() - Date.parse(brake.pulledAt)) / 1_000)),
  }));
  const [first] = pulled;
  if (first === undefined) {
    const none = { signal: 'brake', value: 'released', source: 'directory', at: now.toISOString(), ageSeconds: 0 };
    return { ...common, effect: GateEffect.Allow, reason: 'No brake is pulled here.', inputs: [none] };
  }
  const reason = `The brake is pulled for ${nameOfPlace(first)}; two people can release it.`;
  if (moment === 'write') return { ...common, effect: GateEffect.Deny, reason, inputs };
  const until = new Date(now.getTime() + brakeRelookMinutes * 60_000).toISOString();
  return { ...common, effect: GateEffect.Defer, reason, inputs, until };
}

const text = v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(500));

/** The body that pulls or releases a brake. */
export const BrakeRequest = v.variant('scope', [
  v.strictObject({ scope: v.literal(BrakeScope.Network), reason: text }),
  v.strictObject({ scope: v.literal(BrakeScope.Site), siteId: SiteId, reason: text }),
  v.strictObject({ scope: v.literal(BrakeScope.Unit), siteId: SiteId, unitId: UnitId, reason: text }),
]);
export type BrakeRequest = v.InferOutput<typeof BrakeRequest>;

/** The place of a request. */
export function placeOf(request: BrakeRequest): BrakePlace {
  const { reason: _reason, ...place } = request;
  return place;
}

/** What a release comes to. */
export type ReleaseStep =
  | { readonly step: 'requested'; readonly brake: Brake }
  | { readonly step: 'released' }
  | { readonly step: 'refused'; readonly reason: string };

/**
 * The next step of a release: the first person asks, another one within the hour releases (R4). Pulling it again in between
 * takes the first one's word back.
 *
 * @param by `user:<sub>`
 */
export function releaseStep(brake: Brake, by: string, reason: string, now: Date): ReleaseStep {
  const { release } = brake;
  const open = release !== undefined && Date.parse(release.expiresAt) > now.getTime();
  if (open && release.by === by) {
    return { step: 'refused', reason: 'You asked for this release already; another person must agree to it.' };
  }
  if (open) return { step: 'released' };
  const expiresAt = new Date(now.getTime() + releaseMinutes * 60_000).toISOString();
  return {
    step: 'requested',
    brake: { ...brake, release: { by, at: now.toISOString(), expiresAt, reason }, version: brake.version + 1 },
  };
}
