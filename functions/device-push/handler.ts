import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker, WakeUpImpossible } from '../../shared/aws/iot-waker.ts';
import { decodeChange } from '../../shared/aws/stream.ts';
import { byDevice, wakeFor } from '../../shared/commands/push.ts';
import { commandOf } from '../../shared/commands/store.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));
const wake = iotWaker(new IoTDataPlaneClient());

/**
 * Stream of the Devices table, new open commands: wakes each device once. Lambda repeats the batch from the first
 * record that failed on; waking a device again is harmless.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const changes = event.Records.map(decodeChange);
  const commands = changes.flatMap(({ after }) => (after === undefined ? [] : [commandOf(after)]));
  const failed = new Set<string>();
  await Promise.all(
    byDevice(commands).map(async (batch) => {
      try {
        await wakeFor(table, batch, wake, new Date());
      } catch (error) {
        // One device that cannot be woken must not hold up the wake-ups of all that come after it.
        if (!(error instanceof WakeUpImpossible)) failed.add(batch.deviceId);
        logger.error('wake-up failed', { deviceId: batch.deviceId, ...describeFailure(error) });
      }
    }),
  );
  const first = changes.find(({ after }) => after !== undefined && failed.has(commandOf(after).deviceId));
  return { batchItemFailures: first === undefined ? [] : [{ itemIdentifier: first.sequenceNumber }] };
};
