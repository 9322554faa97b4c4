import { Logger } from '@aws-lambda-powertools/logger';
import { SQSClient } from '@aws-sdk/client-sqs';
import { keepRecord } from '../../shared/audit/store.ts';
import { delayedQueue } from '../../shared/aws/delayed-queue.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { heldWaker } from '../../shared/commands/wake-held.ts';
import { serve } from '../../shared/http/api.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { brakeHandlers } from './brake.ts';

const logger = new Logger({ serviceName: 'manage-brake' });
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));
// The brake must answer also while the queue does not.
const queues = new SQSClient({ maxAttempts: 2, requestHandler: { requestTimeout: 2_000 } });
const later = delayedQueue(queues, requiredEnvironment('WAKE_QUEUE_URL'));

const wakeHeld = heldWaker(later, 'brake', (error) =>
  logger.error('nobody is woken after the release', describeFailure(error)),
);

/** The brake of the management API: a function of its own, so that it works while others are flooded. */
export const handler = serve('manage-brake', brakeHandlers({ directory, guard, wakeHeld }));
