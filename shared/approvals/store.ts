import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { auditPart, transact, type WritePart } from '../devices/store.ts';
import type { Approval } from './approval.ts';

/** Partition of an approval and its audit trail in the Directory table. */
export const approvalPartition = (id: string): string => `APPROVAL#${id}`;

const sortKey = 'APPROVAL';
/** Partition of the index `byKind` that lists approvals by time. */
const kind = 'APPROVAL';
/** Decided and expired ones stay in the list for this long; the audit trail keeps its own time. */
const keptDays = 400;

/** Reads an approval consistently. */
export async function getApproval(directory: Table, id: string): Promise<Approval | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({
      TableName: directory.name,
      Key: { pk: approvalPartition(id), sk: sortKey },
      ConsistentRead: true,
    }),
  );
  return Item === undefined ? undefined : approvalOf(Item);
}

/** A page of approvals, the newest first: one request to the index, which may lag by a moment. */
export async function listApprovals(
  directory: Table,
  limit: number,
  after?: string,
): Promise<{ readonly items: readonly Approval[]; readonly after?: string }> {
  const answer = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      IndexName: 'byKind',
      KeyConditionExpression: 'gsi1pk = :kind',
      ExpressionAttributeValues: { ':kind': kind },
      ScanIndexForward: false,
      Limit: limit,
      ...(after === undefined
        ? {}
        : {
            ExclusiveStartKey: {
              gsi1pk: kind,
              gsi1sk: after,
              pk: approvalPartition(after.slice(after.indexOf('#') + 1)),
              sk: sortKey,
            },
          }),
    }),
  );
  const last = answer.LastEvaluatedKey?.['gsi1sk'];
  return {
    items: (answer.Items ?? []).map(approvalOf),
    ...(typeof last === 'string' ? { after: last } : {}),
  };
}

/** Stores a new approval with its audit record and alert; false, and nothing written, when there is one with its id. */
export function createApproval(
  directory: Table,
  approval: Approval,
  audit: AuditItem,
  alert: WritePart,
): Promise<boolean> {
  return attempt(directory, [
    { Put: { TableName: directory.name, Item: itemOf(approval), ConditionExpression: 'attribute_not_exists(pk)' } },
    auditPart(directory, audit),
    alert,
  ]);
}

/** Stores an approval that changed, with other writes; false, and nothing written, when somebody else was faster. */
export function changeApproval(
  directory: Table,
  seen: Approval,
  after: Approval,
  more: readonly WritePart[],
): Promise<boolean> {
  return attempt(directory, [
    {
      Put: {
        TableName: directory.name,
        Item: itemOf(after),
        ConditionExpression: 'version = :seen',
        ExpressionAttributeValues: { ':seen': seen.version },
      },
    },
    ...more,
  ]);
}

async function attempt(directory: Table, parts: readonly WritePart[]): Promise<boolean> {
  try {
    await retryContention(() => transact(directory, parts));
    return true;
  } catch (error) {
    if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
    throw error;
  }
}

function itemOf(approval: Approval): Item {
  return {
    pk: approvalPartition(approval.id),
    sk: sortKey,
    gsi1pk: kind,
    gsi1sk: `${approval.requestedAt}#${approval.id}`,
    ...approval,
    ttl: Math.floor(Date.parse(approval.requestedAt) / 1_000) + keptDays * 86_400,
  };
}

/** Only this file makes such items, so their form is known. */
function approvalOf(item: Item): Approval {
  const { pk: _pk, sk: _sk, gsi1pk: _kind, gsi1sk: _position, ttl: _ttl, ...approval } = item;
  return approval as unknown as Approval;
}
