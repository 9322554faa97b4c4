import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { allow } from '../constructs/allow.ts';
import { consumeStream, readStream } from '../constructs/event-sources.ts';
import { FunctionSchedule } from '../constructs/function-schedule.ts';
import { failureQueue } from '../constructs/queue.ts';
import { tableAccess } from '../constructs/table-access.ts';
import { type FunctionDefaults, WardlineFunction } from '../constructs/wardline-function.ts';
import type { Settings } from '../settings.ts';
import type { DataStack } from './data.ts';

/** What the audit archive is made from. */
export interface AuditStackProps extends StackProps {
  readonly settings: Settings;
  readonly data: DataStack;
  readonly functions: FunctionDefaults;
}

/** What takes audit records out of the tables into the locked archive, and closes its days. `docs/audit.md` says how. */
export class AuditStack extends Stack {
  readonly functions: readonly WardlineFunction[];
  /** Records that could not be archived while the streams held them, and days that could not be closed. */
  readonly failures: Queue;

  constructor(scope: Construct, id: string, props: AuditStackProps) {
    super(scope, id, props);
    const { data, settings, functions: defaults } = props;
    const { name: prefix } = settings;
    this.failures = failureQueue(this, 'AuditFailures', `${prefix}-audit-failures`, data.operationsKey);

    const streams = [streamArn(data.devices), streamArn(data.directory)];
    const environment = {
      DEVICES_TABLE: data.devices.tableName,
      DIRECTORY_TABLE: data.directory.tableName,
      AUDIT_BUCKET: data.audit.bucketName,
    };
    // Heads of chains, closed days and what is archived already: no partition of anything else.
    const ownItems = { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'AUDIT-*' } };
    const { chains, digests, keys } = data.auditObjects;
    const objects = (arns: readonly string[]) => allow(['s3:GetObject', 's3:PutObject'], arns);
    const eachObject = (arns: readonly string[]) =>
      Object.fromEntries(arns.map((arn) => [arn, 'Every part of a chain and every digest is an object of its own.']));

    const archive = new WardlineFunction(this, 'ArchiveAudit', {
      ...defaults,
      name: 'archive-audit',
      description: 'Chains audit records by day and place into the locked archive',
      invocation: { kind: 'polled' },
      reservedConcurrency: 20,
      timeout: Duration.minutes(2),
      environment,
      statements: [
        ...streams.flatMap((stream) => consumeStream(stream, this.failures)),
        tableAccess(data.directory, ['GetItem', 'BatchGetItem']),
        tableAccess(data.directory, ['PutItem', 'ConditionCheckItem'], ownItems),
        // Reading whole tables is for catching up after the streams have forgotten.
        tableAccess(data.devices, ['Scan']),
        tableAccess(data.directory, ['Scan']),
        objects([chains]),
      ],
      wildcards: eachObject([chains]),
    });
    for (const [table, stream] of [
      ['Devices', streams[0]],
      ['Directory', streams[1]],
    ] as const) {
      readStream(
        archive,
        {
          streamArn: stream ?? '',
          batchSize: 100,
          // Also what happens to a record after it was written: nothing should.
          patterns: [{ dynamodb: { Keys: { sk: { S: [{ prefix: 'AUDIT#' }] } } } }],
          maxAge: Duration.hours(24),
          failures: this.failures,
        },
        `${table}Stream`,
      );
    }

    const close = new WardlineFunction(this, 'CloseAudit', {
      ...defaults,
      name: 'close-audit',
      description: 'Closes the days of the audit archive and signs what they hold',
      invocation: { kind: 'asynchronous', failures: this.failures, maxAge: Duration.hours(1) },
      reservedConcurrency: 1,
      timeout: Duration.minutes(2),
      environment: {
        DIRECTORY_TABLE: data.directory.tableName,
        AUDIT_BUCKET: data.audit.bucketName,
        AUDIT_KEY_ID: data.auditDigestKey.keyId,
      },
      statements: [
        tableAccess(data.directory, ['GetItem', 'Query']),
        tableAccess(data.directory, ['PutItem', 'UpdateItem'], ownItems),
        objects([chains, digests, keys]),
        allow(['kms:Sign', 'kms:GetPublicKey'], [data.auditDigestKey.keyArn]),
      ],
      wildcards: eachObject([chains, digests, keys]),
    });
    new FunctionSchedule(this, 'CloseAuditSchedule', {
      name: `${prefix}-close-audit`,
      description: 'Every hour, so that a day is closed soon after its end whatever failed before',
      function: close,
      expression: 'cron(20 * * * ? *)',
      failures: this.failures,
    });

    this.functions = [archive, close];
  }
}

function streamArn(table: TableV2): string {
  const arn = table.tableStreamArn;
  if (arn === undefined) throw new Error('The table has no stream');
  return arn;
}
