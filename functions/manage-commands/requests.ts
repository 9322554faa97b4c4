import { AlertKind, alertPart } from '../../shared/alerts/alert.ts';
import {
  type Approval,
  type ApprovalContent,
  approvalMinutes,
  hashOf,
  nameOf,
} from '../../shared/approvals/approval.ts';
import { approvalPartition, createApproval, getApproval } from '../../shared/approvals/store.ts';
import { viewOf } from '../../shared/approvals/view.ts';
import { type AuditEntry, auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { canonicalJson } from '../../shared/canonical-json.ts';
import { keyWasUsed, newId } from '../../shared/http/idempotency.ts';

/** A request that needs a second person. */
export interface NewRequest {
  readonly content: ApprovalContent;
  /** The decision that the requester may ask for it. */
  readonly entry: AuditEntry;
  readonly siteIds: readonly string[];
  readonly idempotencyKey?: string | undefined;
  readonly now: Date;
}

/**
 * Stores a request with its audit record and the alert that tells approvers, and answers 202. With an idempotency key the
 * same request of the same person gives the same answer.
 *
 * @throws ProblemError 409 when the key was used for another request
 */
export async function askForApproval(directory: Table, asked: NewRequest) {
  const { content, entry, siteIds, idempotencyKey, now } = asked;
  const requestedAt = now.toISOString();
  const request = {
    id: newId('ap', { actor: entry.actor, key: idempotencyKey }, now.getTime()),
    content,
    requestedBy: entry.actor,
    requestedAt,
    expiresAt: new Date(now.getTime() + approvalMinutes * 60_000).toISOString(),
  };
  const approval: Approval = {
    ...request,
    hash: hashOf(request),
    state: 'pending',
    policyIds: entry.policyIds ?? [],
    siteIds,
    version: 1,
  };
  const [siteId] = siteIds.length === 1 ? siteIds : [];
  const { siteId: _siteOfOne, ...rest } = entry;
  const audit = auditRecord(
    approvalPartition(approval.id),
    {
      ...rest,
      action: 'RequestApproval',
      resource: `approval/${approval.id}`,
      ...(siteId === undefined ? {} : { siteId }),
      after: { hash: approval.hash, what: nameOf(content), requested: entry.action, expiresAt: approval.expiresAt },
    },
    now,
  );
  const devices = content.kind === 'limits' ? [] : content.deviceIds;
  const alert = alertPart(
    directory,
    {
      kind: AlertKind.ApprovalRequested,
      actor: entry.actor,
      summary: `${entry.actor} asks for ${nameOf(content)}; a second person is needed.`,
      see: `/v1/approvals/${approval.id}`,
      ...(siteId === undefined ? {} : { siteId }),
      details: { deviceIds: devices.slice(0, 50), devices: devices.length, hash: approval.hash },
    },
    now,
  );
  const stored = (await createApproval(directory, approval, audit, alert))
    ? approval
    : await sameAsBefore(directory, approval);
  return {
    status: 202,
    body: viewOf(stored, now.getTime()),
    headers: { location: `/v1/approvals/${stored.id}` },
  } as const;
}

async function sameAsBefore(directory: Table, approval: Approval): Promise<Approval> {
  const before = await getApproval(directory, approval.id);
  if (before !== undefined && canonicalJson(before.content) === canonicalJson(approval.content)) return before;
  throw keyWasUsed();
}
