import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { SFNClient } from '@aws-sdk/client-sfn';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';
import * as v from 'valibot';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker } from '../../shared/aws/iot-waker.ts';
import { taskAnswerer } from '../../shared/aws/task-answers.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { executionsOfSecond, paceBySite } from '../../shared/rollouts/pace.ts';
import { applyChanges, RolloutChange } from '../../shared/rollouts/progress.ts';

const logger = new Logger();
const engine = {
  devices: openTable(requiredEnvironment('DEVICES_TABLE')),
  directory: openTable(requiredEnvironment('DIRECTORY_TABLE')),
  interlock: readInterlock(requiredEnvironment('INTERLOCK')),
  wake: iotWaker(new IoTDataPlaneClient()),
  pace: paceBySite(executionsOfSecond.progress),
  answer: taskAnswerer(new SFNClient()),
};

/**
 * Queue of what changed in rollouts: results of devices, and what became of their executions. What fails comes again;
 * everything in it is harmless twice and in any order.
 */
export const handler = async (event: SQSEvent): Promise<SQSBatchResponse> => {
  const failed = new Map<string, unknown>();
  const messages = event.Records.flatMap(({ messageId, body }) => {
    try {
      return [{ id: messageId, change: v.parse(RolloutChange, JSON.parse(body)) }];
    } catch (error) {
      // It ends in the dead-letter queue, and the others go on.
      failed.set(messageId, error);
      return [];
    }
  });
  for (const [id, error] of await applyChanges(engine, messages, new Date())) failed.set(id, error);
  for (const [messageId, error] of failed) logger.error('change not applied', { messageId, ...describeFailure(error) });
  return { batchItemFailures: [...failed.keys()].map((itemIdentifier) => ({ itemIdentifier })) };
};
