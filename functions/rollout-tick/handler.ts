import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker } from '../../shared/aws/iot-waker.ts';
import { machineStarter } from '../../shared/aws/machine-starter.ts';
import { s3Objects } from '../../shared/aws/s3-objects.ts';
import { taskAnswerer } from '../../shared/aws/task-answers.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { executionsOfSecond, paceBySite } from '../../shared/rollouts/pace.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';
import { tick } from '../../shared/rollouts/tick.ts';

const logger = new Logger();
const machines = new SFNClient();
const means = {
  devices: openTable(requiredEnvironment('DEVICES_TABLE')),
  directory: openTable(requiredEnvironment('DIRECTORY_TABLE')),
  interlock: readInterlock(requiredEnvironment('INTERLOCK')),
  plans: new PlanStore(s3Objects(new S3Client(), requiredEnvironment('ROLLOUTS_BUCKET'))),
  wake: iotWaker(new IoTDataPlaneClient()),
  pace: paceBySite(executionsOfSecond.tick),
  answer: taskAnswerer(machines),
  startMachine: machineStarter(machines, requiredEnvironment('ROLLOUT_MACHINE')),
  random: Math.random,
};

/** Called each minute for all rollouts, and by the schedule of a window for the one that waits for it. */
export const handler = async (event: { readonly rolloutId?: string }): Promise<void> => {
  const failed = await tick(means, new Date(), event.rolloutId);
  for (const [rolloutId, error] of failed)
    logger.error('rollout not looked at', { rolloutId, ...describeFailure(error) });
  const [first] = failed.values();
  // The function's errors raise an alarm; the next minute looks again.
  if (first !== undefined) throw first;
};
