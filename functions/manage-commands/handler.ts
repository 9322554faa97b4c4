import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { commandHandlers } from './commands.ts';

const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) => keepRecord(devices, record));

/** Commands of the management API. */
export const handler = serve('manage-commands', commandHandlers({ devices, directory, guard }));
