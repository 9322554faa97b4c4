import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SQSClient } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { delayedQueue } from '../../shared/aws/delayed-queue.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotConfirmedWaker, iotWaker, WakeUpImpossible } from '../../shared/aws/iot-waker.ts';
import { systemClock } from '../../shared/clock.ts';
import { pauseBefore, WakeCheck, wakeAgain } from '../../shared/commands/wake-again.ts';
import { DueCheck, pauseBeforeDue, wakeWhenDue } from '../../shared/commands/wake-due.ts';
import { HeldLook, wakeHeld } from '../../shared/commands/wake-held.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));
const wake = iotConfirmedWaker(new IoTDataPlaneClient({ maxAttempts: 1 }));
const wakeUnconfirmed = iotWaker(new IoTDataPlaneClient());
const later = delayedQueue(new SQSClient(), requiredEnvironment('WAKE_QUEUE_URL'));

/** A message of the queue: one device that was woken or whose time comes, or all devices of a place. */
const Look = v.union([WakeCheck, DueCheck, HeldLook]);

/**
 * Queue of wake-ups: wakes devices again that have not fetched their commands a minute after they were woken, devices whose
 * commands waited until now, and those of a place where a gate let its commands go. A look that fails goes back to the
 * queue; a device that is then woken twice only checks in twice.
 */
export const handler = async (event: SQSEvent): Promise<SQSBatchResponse> => {
  const failures = await Promise.all(event.Records.map(failureOf));
  return { batchItemFailures: failures.flat() };
};

async function failureOf(record: SQSRecord): Promise<SQSBatchResponse['batchItemFailures']> {
  try {
    const look = v.parse(Look, JSON.parse(record.body));
    if ('held' in look) await lookAtPlace(look);
    else if ('until' in look) await lookWhenDue(look);
    else await lookAgain(look);
    return [];
  } catch (error) {
    logger.error('wake-up failed', { messageId: record.messageId, ...describeFailure(error) });
    return error instanceof WakeUpImpossible ? [] : [{ itemIdentifier: record.messageId }];
  }
}

async function lookAgain(check: WakeCheck): Promise<void> {
  const outcome = await wakeAgain(table, check, wake, new Date());
  if (!('next' in outcome)) return;
  await later(outcome.next, pauseBefore(outcome.next));
  logger.info('woken again', { deviceId: check.deviceId, attempt: check.attempt, outcome: outcome.kind });
}

async function lookWhenDue(check: DueCheck): Promise<void> {
  const outcome = await wakeWhenDue(table, check, wake, new Date());
  if (!('next' in outcome)) return;
  await later(outcome.next, pauseBeforeDue(outcome.next, Date.now()));
  if (outcome.kind === 'not-yet') return;
  logger.info('woken when due', { deviceId: check.deviceId, attempt: check.attempt, outcome: outcome.kind });
}

async function lookAtPlace(look: HeldLook): Promise<void> {
  const failed = (deviceId: string, error: unknown) =>
    logger.error('wake-up failed', { deviceId, ...describeFailure(error) });
  const { woken, next } = await wakeHeld({ table, wake: wakeUnconfirmed, failed, now: systemClock }, look);
  if (next !== undefined) await later(next, 0);
  const { position: _position, ...place } = look;
  logger.info('woken where commands were held', { ...place, woken, finished: next === undefined });
}
