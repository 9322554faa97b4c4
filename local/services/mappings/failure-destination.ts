import { randomUUID } from 'node:crypto';
import type { Cloud, Json } from '../../cloud.ts';
import { serviceOfArn } from '../identifiers.ts';
import { keyPermissions } from '../kms/permissions.ts';
import type { Queues } from '../sqs/queues.ts';
import type { MappingSettings } from './settings.ts';
import type { StreamRecord } from './stream-reader.ts';

/** Why records of a stream are given up. */
export type GivenUp = 'RetryAttemptsExhausted' | 'RecordAgeExceeded';

const ACTIONS: Readonly<Record<string, string>> = { sqs: 'sqs:SendMessage', sns: 'sns:Publish' };

/** Throws unless the function's role may send to the mapping's failure destination. */
export const authorizeFailureDestination = (settings: MappingSettings, cloud: Cloud, queues: Queues): void => {
  const { failureArn } = settings;
  if (failureArn === undefined) return;
  const service = serviceOfArn(failureArn);
  const action = ACTIONS[service];
  if (action === undefined)
    throw new Error(`The failure destination ${failureArn} is neither a queue nor a topic: not emulated`);
  const principal = { roleArn: cloud.functions.role(settings.functionArn) };
  cloud.authorize(principal, { action, resource: failureArn });
  if (service !== 'sqs') return;
  for (const permission of keyPermissions(cloud, queues.find(failureArn).settings.keyName, 'sqs', [
    'GenerateDataKey',
    'Decrypt',
  ])) {
    cloud.authorize(principal, permission);
  }
};

/**
 * Tells the failure destination which records were given up. As in AWS, it gets where they are in the stream and not
 * the records: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
 */
export const reportGivenUp = async (
  settings: MappingSettings,
  cloud: Cloud,
  shard: string,
  records: readonly StreamRecord[],
  reason: GivenUp,
  invocations: number,
): Promise<void> => {
  const [first] = records;
  const last = records.at(-1);
  if (settings.failureArn === undefined || first === undefined || last === undefined) return;
  const message: Json = {
    version: '1.0',
    timestamp: new Date(cloud.clock.now()).toISOString(),
    requestContext: {
      requestId: randomUUID(),
      functionArn: settings.functionArn,
      condition: reason,
      approximateInvokeCount: invocations,
    },
    ...(invocations === 0
      ? {}
      : { responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' } }),
    DDBStreamBatchInfo: {
      shardId: shard,
      startSequenceNumber: first.sequence,
      endSequenceNumber: last.sequence,
      approximateArrivalOfFirstRecord: arrival(first),
      approximateArrivalOfLastRecord: arrival(last),
      batchSize: records.length,
      streamArn: settings.sourceArn,
    },
  };
  await cloud.deliver(settings.failureArn, message);
};

const arrival = ({ record }: StreamRecord): string => {
  const change = record['dynamodb'];
  const seconds =
    typeof change === 'object' && change !== null && !Array.isArray(change) ? change['ApproximateCreationDateTime'] : 0;
  return new Date(Number(seconds ?? 0) * 1000).toISOString();
};
