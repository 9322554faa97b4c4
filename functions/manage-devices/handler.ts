import { S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { serve } from '../../shared/http/api.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { ImportStore } from '../../shared/imports/store.ts';
import { deviceHandlers } from './devices.ts';
import { importHandlers } from './imports.ts';
import { listHandlers } from './list.ts';

const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const services = {
  devices,
  directory,
  guard: new Guard(loadPolicies(), (record) => keepRecord(devices, record)),
  imports: new ImportStore({
    directory,
    s3: new S3Client(),
    bucket: requiredEnvironment('IMPORTS_BUCKET'),
    sqs: new SQSClient(),
    queueUrl: requiredEnvironment('IMPORTS_QUEUE_URL'),
  }),
};

/** Devices and imports of the management API. */
export const handler = serve('manage-devices', {
  ...listHandlers(services),
  ...deviceHandlers(services),
  ...importHandlers(services),
});
