import { S3Client } from '@aws-sdk/client-s3';
import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { s3Archive } from '../../shared/aws/s3-archive.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { auditHandlers } from './audit.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const keep = (record: Parameters<typeof keepRecord>[1]) => keepRecord(directory, record);

/** The audit archive of the management API. */
export const handler = serve(
  'manage-audit',
  auditHandlers({
    archive: s3Archive(new S3Client(), requiredEnvironment('AUDIT_BUCKET')),
    guard: new Guard(loadPolicies(), keep),
    keep,
  }),
);
