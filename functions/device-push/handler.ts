import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { delayedQueue } from '../../shared/aws/delayed-queue.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker, WakeUpImpossible } from '../../shared/aws/iot-waker.ts';
import { decodeChange } from '../../shared/aws/stream.ts';
import { type Batch, byDevice, wakeFor } from '../../shared/commands/push.ts';
import { commandOf } from '../../shared/commands/store.ts';
import { pauseBefore, type WakeCheck } from '../../shared/commands/wake-again.ts';
import { type DueCheck, dueChecks, pauseBeforeDue } from '../../shared/commands/wake-due.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const metrics = new Metrics();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));
const wake = iotWaker(new IoTDataPlaneClient());
const later = delayedQueue(new SQSClient(), requiredEnvironment('WAKE_QUEUE_URL'));

/**
 * Stream of the Devices table, open commands that are new or deferred: wakes each device once for its new ones, and has
 * somebody look when the time of a deferred one has come. Lambda repeats the batch from the first record that failed on;
 * waking a device again is harmless.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const changes = event.Records.map(decodeChange);
  const commands = changes.flatMap(({ kind, after }) =>
    kind !== 'INSERT' || after === undefined ? [] : [commandOf(after)],
  );
  const failed = new Set<string>();
  await Promise.all(
    byDevice(commands).map(async (batch) => {
      try {
        await push(batch);
      } catch (error) {
        // One device that cannot be woken must not hold up the wake-ups of all that come after it.
        if (!(error instanceof WakeUpImpossible)) failed.add(batch.deviceId);
        logger.error('wake-up failed', { deviceId: batch.deviceId, ...describeFailure(error) });
      }
    }),
  );
  await Promise.all(
    dueChecks(
      changes.flatMap(({ before, after }) =>
        after === undefined
          ? []
          : [{ before: before === undefined ? undefined : commandOf(before), after: commandOf(after) }],
      ),
    ).map((check) => plan(check, pauseBeforeDue(check, Date.now()))),
  );
  const first = changes.find(
    ({ kind, after }) => kind === 'INSERT' && after !== undefined && failed.has(commandOf(after).deviceId),
  );
  return { batchItemFailures: first === undefined ? [] : [{ itemIdentifier: first.sequenceNumber }] };
};

async function push(batch: Batch): Promise<void> {
  const n = await wakeFor(table, batch, wake, new Date());
  if (n === undefined) return;
  const check: WakeCheck = { deviceId: batch.deviceId, n, attempt: 0 };
  await plan(check, pauseBefore(check));
}

/**
 * Has somebody look later whether the device has come. Where that cannot be planned the wake-up still counts: to repeat
 * it until the queue takes messages again would hold up the first wake-ups of all other devices.
 */
async function plan(check: WakeCheck | DueCheck, delaySeconds: number): Promise<void> {
  try {
    await later(check, delaySeconds);
  } catch (error) {
    logger.error('the wake-up will not be checked', { deviceId: check.deviceId, ...describeFailure(error) });
    metrics.singleMetric().addMetric('WakeUnchecked', MetricUnit.Count, 1);
  }
}
