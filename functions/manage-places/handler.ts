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
import { PlaceStore } from '../../shared/places/store.ts';
import { siteOperations } from './sites.ts';
import { sparesOperations } from './spares.ts';
import { unitOperations } from './units.ts';

const logger = new Logger({ serviceName: 'manage-places' });
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const queues = new SQSClient({ maxAttempts: 2, requestHandler: { requestTimeout: 2_000 } });
const later = delayedQueue(queues, requiredEnvironment('WAKE_QUEUE_URL'));
const services = {
  directory,
  devices,
  places: new PlaceStore(directory, devices),
  guard: new Guard(loadPolicies(), (record) => keepRecord(directory, record)),
  wakeHeld: heldWaker(later, 'interlock', (error) =>
    logger.error('nobody is woken after the change', describeFailure(error)),
  ),
};

/** Sites and care units of the management API. */
export const handler = serve('manage-places', {
  ...siteOperations(services),
  ...unitOperations(services),
  ...sparesOperations(services),
});
