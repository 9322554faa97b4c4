import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { delayedQueue } from '../../shared/aws/delayed-queue.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotConfirmedWaker, WakeUpImpossible } from '../../shared/aws/iot-waker.ts';
import { pauseBefore, WakeCheck, wakeAgain } from '../../shared/commands/wake-again.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));
const wake = iotConfirmedWaker(new IoTDataPlaneClient({ maxAttempts: 1 }));
const later = delayedQueue(new SQSClient(), requiredEnvironment('WAKE_QUEUE_URL'));

/**
 * Queue of wake-ups, a minute and more after they were sent: wakes devices that have not fetched their commands again.
 * A look that fails goes back to the queue; a device that is then woken twice only checks in twice.
 */
export const handler = async (event: SQSEvent): Promise<SQSBatchResponse> => {
  const failures = await Promise.all(event.Records.map(failureOf));
  return { batchItemFailures: failures.flat() };
};

async function failureOf(record: SQSRecord): Promise<SQSBatchResponse['batchItemFailures']> {
  try {
    const check = v.parse(WakeCheck, JSON.parse(record.body));
    const outcome = await wakeAgain(table, check, wake, new Date());
    if ('next' in outcome) {
      await later(outcome.next, pauseBefore(outcome.next));
      logger.info('woken again', { deviceId: check.deviceId, attempt: check.attempt, outcome: outcome.kind });
    }
    return [];
  } catch (error) {
    logger.error('wake-up failed', { messageId: record.messageId, ...describeFailure(error) });
    return error instanceof WakeUpImpossible ? [] : [{ itemIdentifier: record.messageId }];
  }
}
