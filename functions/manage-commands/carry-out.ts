import type { Approval, ApprovalContent, ApprovalResult } from '../../shared/approvals/approval.ts';
import { approvalPartition, changeApproval } from '../../shared/approvals/store.ts';
import { requestAction } from '../../shared/approvals/view.ts';
import { auditRecord } from '../../shared/audit/record.ts';
import { revokeThroughGates } from '../../shared/commands/revocation.ts';
import { queueCommand } from '../../shared/commands/writer.ts';
import type { Device } from '../../shared/devices/device.ts';
import { auditPart, getDevices } from '../../shared/devices/store.ts';
import { ProblemError, problems } from '../../shared/http/problem.ts';
import { limitsPart } from '../../shared/limits/store.ts';
import type { Services } from './services.ts';

/** So many devices are worked on at once: the function has 20 workers of its own, the table is everybody's. */
const together = 16;

/**
 * Does what two people agreed to, device by device through all other gates, and keeps what became of each. May be
 * repeated after a crash: each device's command has the approval as its idempotency key.
 */
export async function carryOut(services: Services, approval: Approval, now: Date): Promise<Approval> {
  const { content } = approval;
  if (content.kind === 'limits') return changeLimits(services, approval, content, now);
  const found = new Map((await getDevices(services.devices, content.deviceIds)).map((device) => [device.id, device]));
  const results = await eachDevice(content.deviceIds, async (deviceId) => {
    const device = found.get(deviceId);
    if (device === undefined) throw problems.notFound('There is no device with this id.');
    return carryOutFor(services, approval, content, device, now);
  });
  const after: Approval = { ...approval, results, version: approval.version + 1 };
  if (await changeApproval(services.directory, approval, after, [])) return after;
  throw problems.conflict('The request is being carried out by another call. Read it again.');
}

async function carryOutFor(
  services: Services,
  approval: Approval,
  content: Exclude<ApprovalContent, { kind: 'limits' }>,
  device: Device,
  now: Date,
): Promise<ApprovalResult> {
  const { siteIds } = approval;
  // A request without sites is the organization's, which all sites lie in.
  if (siteIds.length > 0 && device.siteId !== undefined && !siteIds.includes(device.siteId)) {
    throw problems.conflict('The device was moved to another site since this was asked for. Ask again.');
  }
  const entry = {
    actor: approval.requestedBy,
    action: requestAction(content),
    resource: `device/${device.id}`,
    ...(device.siteId === undefined ? {} : { siteId: device.siteId }),
    outcome: 'allowed',
    policyIds: approval.policyIds,
  } as const;
  const common = {
    deviceId: device.id,
    requestedBy: approval.requestedBy,
    devices: content.deviceIds.length,
    approval,
    entry,
    now,
  };
  if (content.kind === 'revoke') {
    await revokeThroughGates(services, { ...common, reason: content.reason });
    return { deviceId: device.id };
  }
  const { type, parameters, expiresAt, reason } = content;
  const request = {
    type,
    parameters,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(reason === undefined ? {} : { reason }),
  };
  const { command } = await queueCommand(services, { ...common, request, idempotencyKey: `approval ${approval.id}` });
  return { deviceId: device.id, commandId: command.id };
}

/** Runs `work` for each device, some at a time; a refusal of one does not stop the others. Results in the given order. */
export async function eachDevice(
  deviceIds: readonly string[],
  work: (deviceId: string) => Promise<ApprovalResult>,
): Promise<readonly ApprovalResult[]> {
  const results = new Map<string, ApprovalResult>();
  const waiting = [...deviceIds];
  const worker = async () => {
    for (let deviceId = waiting.shift(); deviceId !== undefined; deviceId = waiting.shift()) {
      try {
        results.set(deviceId, await work(deviceId));
      } catch (error) {
        if (!(error instanceof ProblemError) || error.problem.status >= 500) throw error;
        results.set(deviceId, { deviceId, refused: error.message.slice(0, 300) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(together, deviceIds.length) }, worker));
  return deviceIds.flatMap((deviceId) => results.get(deviceId) ?? []);
}

async function changeLimits(
  { directory }: Services,
  approval: Approval,
  content: Extract<ApprovalContent, { kind: 'limits' }>,
  now: Date,
): Promise<Approval> {
  const people = [approval.requestedBy, approval.decidedBy ?? ''];
  const after: Approval = { ...approval, results: [], version: approval.version + 1 };
  const audit = auditRecord(
    approvalPartition(approval.id),
    {
      actor: approval.requestedBy,
      action: 'UpdateLimits',
      resource: 'organization',
      outcome: 'allowed',
      policyIds: approval.policyIds,
      after: { limits: content.limits, approvedBy: approval.decidedBy },
    },
    now,
  );
  const parts = [limitsPart(directory, content.limits, content.seenVersion, people, now), auditPart(directory, audit)];
  if (await changeApproval(directory, approval, after, parts)) return after;
  throw problems.conflict('The limits were changed since this was asked for. Ask again.');
}
