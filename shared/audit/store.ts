import { PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import type { Table } from '../aws/dynamodb.ts';
import { isConditionFailed } from '../aws/errors.ts';
import { type AuditItem, type AuditRecord, auditPrefix } from './record.ts';
import { AuditRecordSchema } from './view.ts';

/** Stores a record by itself: for attempts that were denied or refused, which change nothing else. */
export async function keepRecord(table: Table, item: AuditItem): Promise<void> {
  const { name: TableName, client } = table;
  try {
    await client.send(new PutCommand({ TableName, Item: item, ConditionExpression: 'attribute_not_exists(pk)' }));
  } catch (error) {
    // Its key holds a ULID: what is there is this record, stored by a try whose answer was lost.
    if (!isConditionFailed(error)) throw error;
  }
}

/** A page of an audit trail, newest first. */
export interface AuditPage {
  readonly items: readonly AuditRecord[];
  /** Time and id of the record to go on after; absent on the last page. */
  readonly after?: string;
}

/** Reads the audit trail of one partition, newest first: one request. */
export async function readTrail(table: Table, partition: string, limit: number, after?: string): Promise<AuditPage> {
  const answer = await table.client.send(
    new QueryCommand({
      TableName: table.name,
      KeyConditionExpression: 'pk = :partition AND begins_with(sk, :prefix)',
      ExpressionAttributeValues: { ':partition': partition, ':prefix': auditPrefix },
      ScanIndexForward: false,
      Limit: limit,
      ...(after === undefined ? {} : { ExclusiveStartKey: { pk: partition, sk: `${auditPrefix}${after}` } }),
    }),
  );
  const items = (answer.Items ?? []).map((item) => toRecord(item));
  const last: unknown = answer.LastEvaluatedKey?.['sk'];
  return typeof last === 'string' ? { items, after: last.slice(auditPrefix.length) } : { items };
}

function toRecord(item: Readonly<Record<string, unknown>>): AuditRecord {
  const { siteId, reason, policyIds, before, after, ...required } = v.parse(AuditRecordSchema, item);
  return {
    ...required,
    ...(siteId === undefined ? {} : { siteId }),
    ...(reason === undefined ? {} : { reason }),
    ...(policyIds === undefined ? {} : { policyIds }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}
