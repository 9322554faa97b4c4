import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { allow } from './allow.ts';

/** Item operations of DynamoDB, without the prefix. A transaction needs the permission of each operation in it. */
type TableAction =
  | 'GetItem'
  | 'BatchGetItem'
  | 'Query'
  | 'Scan'
  | 'PutItem'
  | 'UpdateItem'
  | 'DeleteItem'
  | 'ConditionCheckItem';

/** Lets a function use a table with exactly these operations. */
export function tableAccess(
  table: TableV2,
  actions: readonly TableAction[],
  conditions: Parameters<typeof allow>[2] = {},
): PolicyStatement {
  return allow(
    actions.map((action) => `dynamodb:${action}`),
    [table.tableArn],
    conditions,
  );
}

/** Lets a function read one index of a table. */
export function indexAccess(
  table: TableV2,
  index: string,
  actions: readonly ('Query' | 'Scan')[] = ['Query'],
): PolicyStatement {
  return allow(
    actions.map((action) => `dynamodb:${action}`),
    [`${table.tableArn}/index/${index}`],
  );
}
