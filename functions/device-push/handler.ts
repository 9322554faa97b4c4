import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { batchSender } from '../../shared/aws/batch-sender.ts';
import { delayedQueue } from '../../shared/aws/delayed-queue.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker, WakeUpImpossible } from '../../shared/aws/iot-waker.ts';
import { type Change, decodeChange } from '../../shared/aws/stream.ts';
import { type Batch, byDevice, wakeFor } from '../../shared/commands/push.ts';
import { commandOf } from '../../shared/commands/store.ts';
import { pauseBefore, type WakeCheck } from '../../shared/commands/wake-again.ts';
import { type DueCheck, dueChecks, pauseBeforeDue } from '../../shared/commands/wake-due.ts';
import { keepForward } from '../../shared/devices/kept-forward-store.ts';
import { openPrefix } from '../../shared/devices/keys.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { handOnAll } from './hand-on.ts';

const logger = new Logger();
const metrics = new Metrics();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));
const wake = iotWaker(new IoTDataPlaneClient());
const later = delayedQueue(new SQSClient(), requiredEnvironment('WAKE_QUEUE_URL'));

// A queue that hangs must not hold up the next wake-ups: what it does not take in seconds is kept.
const impatient = new SQSClient({
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 2_000 },
});
const report = (problem: string, error: unknown) => logger.error(problem, describeFailure(error));
const queueOf = (name: string) =>
  batchSender(impatient, requiredEnvironment(name), (error) => report('changes were not handed on', error));
const handingOn = {
  send: { retire: queueOf('RETIRE_QUEUE_URL'), rollouts: queueOf('ROLLOUT_CHANGES_QUEUE_URL') },
  keep: (kept: Parameters<typeof keepForward>[1]) => {
    metrics.singleMetric().addMetric('ForwardKept', MetricUnit.Count, 1);
    return keepForward(table, kept, new Date());
  },
  report,
};

/**
 * Stream of the Devices table. Wakes each device once for its new commands, has somebody look when the time of a
 * deferred one has come, and hands on to queues what others need of the stream. Lambda repeats the batch from the first
 * record that failed on; all of it is harmless twice.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const changes = event.Records.map(decodeChange);
  const [unwoken, lost] = await Promise.all([wakeAll(changes), handOnAll(handingOn, changes)]);
  const failed = new Set([...unwoken, ...lost]);
  const first = changes.find(({ sequenceNumber }) => failed.has(sequenceNumber));
  return { batchItemFailures: first === undefined ? [] : [{ itemIdentifier: first.sequenceNumber }] };
};

/** @returns the sequence numbers of commands whose device could not be woken for the moment */
async function wakeAll(all: readonly Change[]): Promise<string[]> {
  const changes = all.flatMap(({ sequenceNumber, kind, before, after }) =>
    after === undefined || !String(after['sk']).startsWith(openPrefix)
      ? []
      : [
          {
            sequenceNumber,
            kind,
            before: before === undefined ? undefined : commandOf(before),
            after: commandOf(after),
          },
        ],
  );
  const inserted = changes.filter(({ kind }) => kind === 'INSERT');
  const failed = new Set<string>();
  await Promise.all(
    byDevice(inserted.map(({ after }) => after)).map(async (batch) => {
      try {
        await push(batch);
      } catch (error) {
        // One device that cannot be woken must not hold up the wake-ups of all that come after it.
        if (!(error instanceof WakeUpImpossible)) failed.add(batch.deviceId);
        logger.error('wake-up failed', { deviceId: batch.deviceId, ...describeFailure(error) });
      }
    }),
  );
  await Promise.all(dueChecks(changes).map((check) => plan(check, pauseBeforeDue(check, Date.now()))));
  return inserted.filter(({ after }) => failed.has(after.deviceId)).map(({ sequenceNumber }) => sequenceNumber);
}

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
