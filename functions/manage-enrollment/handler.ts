import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { tokenOperations } from './tokens.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const guard = new Guard(loadPolicies(), (record) => keepRecord(directory, record));

/** Enrolment tokens of the management API. */
export const handler = serve('manage-enrollment', tokenOperations({ directory, guard }));
