import type { OperationSpec } from '../http/operation.ts';
import { PageQuery, pageOf } from '../http/page.ts';
import { AuditRecordSchema } from './view.ts';

/** Reading an audit trail is the same wherever it lies. */
export const auditSpec = (what: string) =>
  ({
    summary: `Audit trail of a ${what}, newest first`,
    description: `Who changed what, when, by which policy; attempts that were denied or refused are in it too. Needs \`ReadAudit\`.`,
    tag: 'Audit',
    query: PageQuery,
    answer: { status: 200, description: 'A page of the trail', schema: pageOf(AuditRecordSchema) },
  }) as const satisfies OperationSpec<undefined, { limit: number; cursor?: string | undefined }>;
