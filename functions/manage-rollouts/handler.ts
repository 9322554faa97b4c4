import { S3Client } from '@aws-sdk/client-s3';
import { SFNClient } from '@aws-sdk/client-sfn';
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { machineStarter } from '../../shared/aws/machine-starter.ts';
import { s3Objects } from '../../shared/aws/s3-objects.ts';
import { taskAnswerer } from '../../shared/aws/task-answers.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';
import { draftHandlers } from './drafts.ts';
import { operateHandlers } from './operate.ts';
import { planHandlers } from './plans.ts';
import { progressHandlers } from './progress.ts';
import { returnHandlers } from './return.ts';
import type { Services } from './services.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const machines = new SFNClient();
const queue = new SQSClient();
const QueueUrl = requiredEnvironment('PLANS_QUEUE_URL');

const services: Services = {
  devices: openTable(requiredEnvironment('DEVICES_TABLE')),
  directory,
  guard: new Guard(loadPolicies(), (record) => keepRecord(directory, record)),
  plans: new PlanStore(s3Objects(new S3Client(), requiredEnvironment('ROLLOUTS_BUCKET'))),
  async askForPlan(rolloutId, version) {
    await queue.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify({ rolloutId, version }) }));
  },
  startMachine: machineStarter(machines, requiredEnvironment('ROLLOUT_MACHINE')),
  answer: taskAnswerer(machines),
};

/** Rollouts in the management API: what people prepare, decide, stop and look at. */
export const handler = serve('manage-rollouts', {
  ...draftHandlers(services),
  ...planHandlers(services),
  ...operateHandlers(services),
  ...progressHandlers(services),
  ...returnHandlers(services),
});
