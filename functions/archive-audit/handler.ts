import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { S3Client } from '@aws-sdk/client-s3';
import type { Context, DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { append, byPlace } from '../../shared/audit/archive/append.ts';
import { deliveryOf } from '../../shared/audit/archive/delivery.ts';
import { ChainStore } from '../../shared/audit/archive/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { s3Archive } from '../../shared/aws/s3-archive.ts';
import { decodeChange } from '../../shared/aws/stream.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { type CatchUp, type CatchUpAnswer, catchUp } from './catch-up.ts';

const logger = new Logger();
const metrics = new Metrics();
const now = () => new Date();
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const tables = { devices: openTable(requiredEnvironment('DEVICES_TABLE')), directory };
const means = {
  archive: s3Archive(new S3Client(), requiredEnvironment('AUDIT_BUCKET')),
  chains: new ChainStore(directory, now),
  now,
};

/**
 * Streams of both tables, audit records: appends each one to the chain of its place. Whatever fails is delivered again
 * and appended once. `{"catchUp": ...}`, sent by an operator, appends what the streams no longer hold.
 */
export const handler = async (
  event: DynamoDBStreamEvent | CatchUp,
  context: Context,
): Promise<DynamoDBBatchResponse | CatchUpAnswer> => {
  if ('catchUp' in event) return catchUp(means, tables, event, () => context.getRemainingTimeInMillis());
  return archive(event);
};

async function archive(event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> {
  const deliveries = event.Records.flatMap((record) => {
    const seconds = record.dynamodb?.ApproximateCreationDateTime ?? 0;
    return deliveryOf(decodeChange(record), new Date(seconds * 1000)) ?? [];
  });
  const failed = new Set<unknown>();
  await Promise.all(
    [...byPlace(deliveries.map(({ entry }) => entry))].map(async ([place, entries]) => {
      try {
        await append(means, place, entries);
      } catch (error) {
        // One place that is stuck must not hold up the others, which are done when the batch comes again.
        for (const entry of entries) failed.add(entry);
        logger.error('records could not be archived', { place, records: entries.length, ...describeFailure(error) });
      }
    }),
  );
  for (const { entry, tampering } of deliveries) {
    if (!tampering || failed.has(entry)) continue;
    logger.error('an audit record was altered in its table', { source: entry.source });
    metrics.addMetric('AuditTampered', MetricUnit.Count, 1);
    metrics.publishStoredMetrics();
  }
  const first = deliveries.find(({ entry }) => failed.has(entry));
  return { batchItemFailures: first === undefined ? [] : [{ itemIdentifier: first.sequenceNumber }] };
}
