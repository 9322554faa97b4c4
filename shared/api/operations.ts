import { approvalOperations } from '../approvals/operations.ts';
import { auditOperations } from '../audit/operations.ts';
import { brakeOperations } from '../brake/operations.ts';
import { commandOperations } from '../commands/operations.ts';
import { deviceOperations } from '../devices/operations.ts';
import { enrollmentOperations } from '../enrollment/operations.ts';
import type { OperationSpec } from '../http/operation.ts';
import type { Operation } from '../http/routes.ts';
import { interlockOperations } from '../interlock/operations.ts';
import { limitOperations } from '../limits/operations.ts';
import { placeOperations } from '../places/operations.ts';
import { reviewOperations } from '../reviews/operations.ts';
import { rolloutOperations } from '../rollouts/operations.ts';

/** The specification of every operation of the management API. Missing one does not compile. */
export const operations: Readonly<Record<Operation, OperationSpec>> = {
  ...placeOperations,
  ...enrollmentOperations,
  ...deviceOperations,
  ...commandOperations,
  ...approvalOperations,
  ...reviewOperations,
  ...limitOperations,
  ...brakeOperations,
  ...interlockOperations,
  ...rolloutOperations,
  ...auditOperations,
  describeApi: {
    summary: 'Get the OpenAPI document',
    tag: 'Description',
    answer: { status: 200, description: 'The OpenAPI 3.1 document of this API', mediaType: 'application/json' },
  },
};
