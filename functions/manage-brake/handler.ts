import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { brakeHandlers } from './brake.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));

/** The brake of the management API: a function of its own, so that it works while others are flooded. */
export const handler = serve('manage-brake', brakeHandlers({ directory, guard }));
