import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { approvalHandlers } from './approvals.ts';
import { commandHandlers } from './commands.ts';
import { limitHandlers } from './limits.ts';
import { reviewHandlers } from './reviews.ts';

const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) =>
  // Attempts lie with what they were about: a device, or a request or review of the Directory table.
  keepRecord(record.pk.startsWith('DEVICE#') ? devices : directory, record),
);

const services = { devices, directory, guard, interlock: readInterlock(requiredEnvironment('INTERLOCK')) };

/** Commands of the management API, and whatever decides whether they are written: the only function that writes them. */
export const handler = serve('manage-commands', {
  ...commandHandlers(services),
  ...approvalHandlers(services),
  ...limitHandlers(services),
  ...reviewHandlers(services),
});
