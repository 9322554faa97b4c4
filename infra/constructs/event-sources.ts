import type { Duration } from 'aws-cdk-lib';
import { CfnEventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { acknowledge } from './acknowledge.ts';
import { allow } from './allow.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** What Lambda, with the function's role, does to read a queue. */
export function consumeQueue(queue: IQueue) {
  return allow(
    ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ChangeMessageVisibility'],
    [queue.queueArn],
  );
}

/** Reads a queue: failed messages of a batch come back alone, and go to the queue's dead-letter queue in the end. */
export function readQueue(
  reader: WardlineFunction,
  queue: IQueue,
  batch: { readonly size: number; readonly window?: Duration; readonly concurrency: number },
): void {
  const mapping = new CfnEventSourceMapping(reader, 'Queue', {
    functionName: reader.function.functionName,
    eventSourceArn: queue.queueArn,
    batchSize: batch.size,
    ...(batch.window === undefined ? {} : { maximumBatchingWindowInSeconds: batch.window.toSeconds() }),
    functionResponseTypes: ['ReportBatchItemFailures'],
    scalingConfig: { maximumConcurrency: batch.concurrency },
  });
  acknowledge(mapping, {
    'Serverless-LambdaEventSourceMappingDestination':
      'A queue has no failure destination: its redrive policy sends what fails to a dead-letter queue.',
  });
}

/** What Lambda, with the function's role, does to read a table's stream, and to report what it gave up. */
export function consumeStream(streamArn: string, failures: IQueue) {
  return [
    allow(
      ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator', 'dynamodb:ListStreams'],
      [streamArn],
    ),
    allow(['sqs:SendMessage'], [failures.queueArn]),
  ];
}

/** How a table's stream is read. */
export interface StreamReading {
  readonly streamArn: string;
  readonly batchSize: number;
  /** Only records that match one of these Lambda filter patterns are handed over (and paid for). */
  readonly patterns: readonly Readonly<Record<string, unknown>>[];
  /** Records that could not be processed in this time are given up and reported to `failures`. */
  readonly maxAge: Duration;
  readonly failures: IQueue;
}

/**
 * Reads a table's stream in order, from the oldest record there is. A failing batch is halved until the record at
 * fault is alone, and tried again until it succeeds or is older than `maxAge`.
 *
 * @param id distinguishes the streams of a function that reads several
 */
export function readStream(reader: WardlineFunction, reading: StreamReading, id = 'Stream'): void {
  new CfnEventSourceMapping(reader, id, {
    functionName: reader.function.functionName,
    eventSourceArn: reading.streamArn,
    startingPosition: 'TRIM_HORIZON',
    batchSize: reading.batchSize,
    bisectBatchOnFunctionError: true,
    maximumRetryAttempts: -1,
    maximumRecordAgeInSeconds: reading.maxAge.toSeconds(),
    functionResponseTypes: ['ReportBatchItemFailures'],
    filterCriteria: { filters: reading.patterns.map((pattern) => ({ pattern: JSON.stringify(pattern) })) },
    destinationConfig: { onFailure: { destination: reading.failures.queueArn } },
  });
}
