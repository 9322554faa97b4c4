import { AlertKind, alertPart } from '../alerts/alert.ts';
import { raise } from '../alerts/store.ts';
import type { Approval } from '../approvals/approval.ts';
import type { Table } from '../aws/dynamodb.ts';
import type { Device } from '../devices/device.ts';
import type { WritePart } from '../devices/store.ts';
import { defaultLimits, isLimited } from '../limits/limits.ts';
import { getLimits, readBreakGlassWindows, readTypeWindows, windowParts } from '../limits/store.ts';
import { type BreakGlass, reviewHours } from '../reviews/review.ts';
import { reviewPart } from '../reviews/store.ts';
import type { RolloutGrant } from '../rollouts/admission/update-order.ts';
import type { CommandType, StoredCommand } from './command.ts';
import { approvalDecision } from './gates/approval.ts';
import { Gate } from './gates/gate.ts';
import { limiterDecision } from './gates/limiter.ts';
import type { GateAnswer, GateRefusal } from './gates/pipeline.ts';

/** What approval gate and limiter are asked about: a command, or the revocation of a certificate. */
export interface TwoPersonQuestion {
  readonly device: Device;
  readonly request: {
    readonly type: CommandType | 'revoke';
    readonly parameters: Readonly<Record<string, unknown>>;
  };
  /** `user:<sub>` */
  readonly requestedBy: string;
  readonly now: Date;
}

/** What comes with the question. */
export interface TwoPersonMeans {
  /** How many devices the request is for. @default 1 */
  readonly devices?: number;
  readonly approval?: Approval | undefined;
  readonly breakGlass?: BreakGlass | undefined;
  readonly rollout?: RolloutGrant | undefined;
}

/** The tables that hold what these gates need to know. */
interface Tables {
  readonly devices: Table;
  readonly directory: Table;
}

/** The approval gate, with what it needs out of the Directory table: one read, and only for what can need approval. */
export const approvalGate =
  ({ directory }: Tables, { devices = 1, approval, breakGlass, rollout }: TwoPersonMeans) =>
  async ({ device, request, requestedBy, now }: TwoPersonQuestion): Promise<GateAnswer> => {
    const { limits } = devices > 1 ? await getLimits(directory) : { limits: defaultLimits };
    const { bulkWithoutApproval } = limits;
    const { type, parameters } = request;
    const question = { type, parameters, deviceId: device.id, devices, bulkWithoutApproval, requestedBy };
    return { decision: approvalDecision({ ...question, approval, breakGlass, rollout, now }) };
  };

/** The limiter, with its windows out of the Directory table, and the writes that count what it lets through. */
export const limiterGate =
  (tables: Tables, { breakGlass }: TwoPersonMeans) =>
  async ({ device, request: { type }, requestedBy, now }: TwoPersonQuestion): Promise<GateAnswer> => {
    // Whatever is asked for: what is forced on a device in use is counted, also a restart.
    const emergency = breakGlass !== undefined;
    if (!emergency && !isLimited(type)) return { decision: limiterDecision(type, [], device.id, now) };
    const { limits } = await getLimits(tables.directory);
    // In an emergency the limits of the type do not count, but there is one for emergencies.
    const windows = emergency
      ? await readBreakGlassWindows(tables.directory, limits, requestedBy)
      : isLimited(type)
        ? await readTypeWindows(tables.devices, tables.directory, limits, type, device)
        : [];
    const what = emergency ? 'break-glass' : type;
    return {
      decision: limiterDecision(what, windows, device.id, now, emergency ? 'R12' : 'R4'),
      parts: windowParts(tables.directory, windows, { deviceId: device.id, at: now.getTime(), by: requestedBy }),
    };
  };

/** What a command past approval brings with it: the task to look at it, and the alert. */
export function emergencyParts(directory: Table, command: StoredCommand, device: Device): WritePart[] {
  const { breakGlass, id, type, requestedBy, createdAt } = command;
  if (breakGlass === undefined) return [];
  const { reviewId, ...said } = breakGlass;
  return emergencyOf(directory, device, { reviewId, commandId: id, type, by: requestedBy, at: createdAt, said });
}

/** What was done past approval. */
export interface Emergency {
  readonly reviewId: string;
  /** What was done; `revoke` has no command. */
  readonly commandId: string;
  readonly type: string;
  readonly by: string;
  readonly at: string;
  readonly said: { readonly reasonCode: string; readonly text: string };
}

/** The writes for what was done past approval. */
export function emergencyOf(directory: Table, device: Device, emergency: Emergency): WritePart[] {
  const { reviewId, commandId, type, by, at, said } = emergency;
  const dueAt = new Date(Date.parse(at) + reviewHours * 3_600_000).toISOString();
  const place = {
    ...(device.siteId === undefined ? {} : { siteId: device.siteId }),
    ...(device.unitId === undefined ? {} : { unitId: device.unitId }),
  };
  return [
    reviewPart(directory, {
      id: reviewId,
      deviceId: device.id,
      commandId,
      type,
      breakGlass: said as BreakGlass,
      by,
      at,
      dueAt,
      ...(device.siteId === undefined ? {} : { siteId: device.siteId }),
      device: {
        platform: device.platform,
        class: device.class,
        ...(device.unitId === undefined ? {} : { unitId: device.unitId }),
      },
    }),
    alertPart(
      directory,
      {
        kind: AlertKind.BreakGlass,
        actor: by,
        summary: `${by} broke the glass: ${type} of device ${device.id} without a second person.`,
        see: `/v1/reviews/${reviewId}`,
        ...place,
        details: { deviceId: device.id, commandId, type, reasonCode: said.reasonCode, reviewBy: dueAt },
      },
      new Date(at),
    ),
  ];
}

/** A limit that was reached is told once an hour for each person, type and rule; it may be an attack. */
export async function tellOfRefusal(
  directory: Table,
  refusal: GateRefusal,
  type: string,
  actor: string,
  now: Date,
): Promise<void> {
  const { deciding } = refusal;
  if (deciding?.gate !== Gate.Limiter) return;
  const hour = now.toISOString().slice(0, 13);
  const alert = {
    kind: AlertKind.LimitReached,
    actor,
    summary: `${actor} was stopped by the limiter: ${deciding.reason}`,
    see: '/v1/limits',
    details: { type, ruleId: deciding.ruleId },
  };
  await raise(directory, alert, now, `limit#${deciding.ruleId}#${type}#${actor}#${hour}`);
}
