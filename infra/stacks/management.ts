import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { routes } from '../../shared/http/routes.ts';
import { allow } from '../constructs/allow.ts';
import { consumeQueue, readQueue } from '../constructs/event-sources.ts';
import { ManagementApi } from '../constructs/management-api.ts';
import { pascalCase } from '../constructs/pascal-case.ts';
import { deadLetterQueue, workQueue } from '../constructs/queue.ts';
import { SafetyAlerts } from '../constructs/safety-alerts.ts';
import { indexAccess, tableAccess } from '../constructs/table-access.ts';
import {
  type FunctionDefaults,
  WardlineFunction,
  type WardlineFunctionProps,
} from '../constructs/wardline-function.ts';
import type { Settings } from '../settings.ts';
import type { DataStack } from './data.ts';
import type { RolloutsStack } from './rollouts.ts';

/** What the management front is made from. */
export interface ManagementStackProps extends StackProps {
  readonly settings: Settings;
  readonly data: DataStack;
  /** Devices that are to be woken. */
  readonly wakeQueue: Queue;
  readonly rollouts: RolloutsStack;
  readonly functions: FunctionDefaults;
}

/** Everything that people and their programs talk to: the REST API and the functions behind it. */
export class ManagementStack extends Stack {
  readonly functions: readonly WardlineFunction[];
  readonly api: ManagementApi;
  /** Parts of an import that could not be carried out. */
  readonly importFailures: Queue;
  /** Safety alerts that could not be sent within a day. */
  readonly alertFailures: Queue;

  constructor(scope: Construct, id: string, props: ManagementStackProps) {
    super(scope, id, props);
    const { data, wakeQueue, rollouts: carried, settings, functions: defaults } = props;
    const { name: prefix, oidc } = settings;

    const authorize = new WardlineFunction(this, 'Authorize', {
      ...defaults,
      name: 'authorize',
      description: 'Verifies the access token of whoever calls the management API',
      invocation: { kind: 'synchronous' },
      reservedConcurrency: 50,
      timeout: Duration.seconds(10),
      environment: {
        OIDC_ISSUER: [oidc.issuer].flat().join(' '),
        OIDC_AUDIENCE: oidc.audience,
        ROLES_CLAIM: oidc.rolesClaim,
        SITES_CLAIM: oidc.sitesClaim,
      },
      statements: [],
      outsideVpc: 'Fetches the keys of the OpenID provider from the internet and reaches nothing of ours.',
    });

    this.importFailures = deadLetterQueue(this, 'ImportFailures', `${prefix}-import-failures`, data.operationsKey);
    const importTimeout = Duration.minutes(2);
    const imports = workQueue(this, 'ImportQueue', {
      name: `${prefix}-imports`,
      key: data.operationsKey,
      visibilityTimeout: Duration.seconds(importTimeout.toSeconds() * 6),
      attempts: 5,
      deadLetters: this.importFailures,
    });

    const served = (
      name: string,
      description: string,
      more: Partial<WardlineFunctionProps> & Pick<WardlineFunctionProps, 'statements'>,
    ) =>
      new WardlineFunction(this, pascalCase(name), {
        ...defaults,
        name,
        description,
        invocation: { kind: 'synchronous' },
        // A page of the console asks for many things at once.
        reservedConcurrency: 50,
        memoryMegabytes: 512,
        timeout: Duration.seconds(25),
        ...more,
      });

    const places = served('manage-places', 'Sites and care units', {
      environment: {
        DIRECTORY_TABLE: data.directory.tableName,
        DEVICES_TABLE: data.devices.tableName,
        WAKE_QUEUE_URL: wakeQueue.queueUrl,
      },
      statements: [
        tableAccess(data.directory, ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']),
        indexAccess(data.directory, 'byKind'),
        // A place that still has devices is not deleted.
        indexAccess(data.devices, 'bySite'),
        // Other hours may let a command go that waited for them.
        allow(['sqs:SendMessage'], [wakeQueue.queueArn]),
      ],
    });
    const enrollment = served('manage-enrollment', 'Enrolment tokens', {
      environment: { DIRECTORY_TABLE: data.directory.tableName },
      statements: [
        tableAccess(data.directory, ['GetItem', 'PutItem', 'UpdateItem']),
        indexAccess(data.directory, 'byKind'),
      ],
    });
    const importFiles = data.importObjects;
    const devices = served('manage-devices', 'Devices: register, list, change, import', {
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        IMPORTS_BUCKET: data.imports.bucketName,
        IMPORTS_QUEUE_URL: imports.queueUrl,
      },
      statements: [
        tableAccess(data.devices, ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']),
        indexAccess(data.devices, 'bySite', ['Query', 'Scan']),
        tableAccess(data.directory, ['GetItem', 'PutItem']),
        // A device is not moved out from under a brake.
        tableAccess(data.directory, ['Query'], {
          'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': 'BRAKE' },
        }),
        allow(['s3:GetObject', 's3:PutObject'], [importFiles]),
        allow(['sqs:SendMessage'], [imports.queueArn]),
      ],
      wildcards: {
        [importFiles]: 'Each import is an object of its own.',
      },
    });
    const commands = served(
      'manage-commands',
      'Commands: the one writer, with approvals, limits, revocation and reviews',
      {
        environment: {
          DEVICES_TABLE: data.devices.tableName,
          DIRECTORY_TABLE: data.directory.tableName,
          INTERLOCK: JSON.stringify(settings.interlock),
        },
        statements: [
          tableAccess(data.devices, ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']),
          // How many devices a place has: limits are shares of them.
          indexAccess(data.devices, 'bySite'),
          // Approvals, limits, reviews, brakes, places.
          tableAccess(data.directory, ['GetItem', 'BatchGetItem', 'Query', 'PutItem']),
          indexAccess(data.directory, 'byKind'),
        ],
      },
    );
    const brake = served('manage-brake', 'The brake: pull, release, look', {
      environment: { DIRECTORY_TABLE: data.directory.tableName, WAKE_QUEUE_URL: wakeQueue.queueUrl },
      statements: [
        tableAccess(data.directory, ['GetItem', 'Query', 'PutItem', 'DeleteItem']),
        // Once it is released, whoever waited for that is woken.
        allow(['sqs:SendMessage'], [wakeQueue.queueArn]),
      ],
    });
    const { chains, digests, keys } = data.auditObjects;
    const audit = served('manage-audit', 'The audit archive: search, copy', {
      reservedConcurrency: 10,
      memoryMegabytes: 1024,
      environment: { DIRECTORY_TABLE: data.directory.tableName, AUDIT_BUCKET: data.audit.bucketName },
      statements: [
        allow(['s3:GetObject'], [chains, digests, keys]),
        allow(['s3:ListBucket'], [data.audit.bucketArn]),
        // Who took a copy, and who tried to.
        tableAccess(data.directory, ['PutItem']),
      ],
      wildcards: Object.fromEntries(
        [chains, digests, keys].map((objects) => [objects, 'Reads whichever part of the archive is asked for.']),
      ),
    });
    const wakes = `arn:${this.partition}:iot:${this.region}:${this.account}:client/d-*`;
    const interlock = served('manage-interlock', 'Clinical interlock: signals of other systems, shadow mode', {
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        INTERLOCK: JSON.stringify(settings.interlock),
      },
      statements: [
        tableAccess(data.devices, ['GetItem', 'BatchGetItem', 'Query', 'PutItem', 'UpdateItem']),
        indexAccess(data.devices, 'bySite', ['Query', 'Scan']),
        // The place of the device.
        tableAccess(data.directory, ['GetItem']),
        allow(['iot:SendDirectMessage'], [wakes], { StringLike: { 'iot:Topic': 'wardline/*/wake' } }),
      ],
      wildcards: { [wakes]: 'Wakes whichever device may go on; the topic is limited by a condition.' },
    });
    const machines = [carried.rollout.attrArn, carried.siteRollout.attrArn];
    const rollouts = served('manage-rollouts', 'Rollouts: prepare, approve, start, stop, look at', {
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        ROLLOUTS_BUCKET: data.rollouts.bucketName,
        PLANS_QUEUE_URL: carried.plans.queueUrl,
        ROLLOUT_MACHINE: carried.rollout.attrArn,
      },
      statements: [
        tableAccess(data.devices, ['GetItem']),
        // A device that a person puts back into service; its unit has its spare again.
        tableAccess(data.devices, ['PutItem'], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'DEVICE#*' },
        }),
        tableAccess(data.directory, ['UpdateItem'], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'SPARES#*' },
        }),
        indexAccess(data.devices, 'byRollout'),
        indexAccess(data.devices, 'bySite'),
        tableAccess(data.directory, ['GetItem', 'BatchGetItem', 'Query']),
        indexAccess(data.directory, 'byKind'),
        tableAccess(data.directory, ['PutItem', 'DeleteItem'], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['ROLLOUT#*', 'ROLLOUTS', 'ALERT#*'] },
        }),
        allow(['s3:GetObject'], [data.planObjects]),
        // Without it S3 answers "access denied" for a plan that is not there.
        allow(['s3:ListBucket'], [data.rollouts.bucketArn]),
        allow(['sqs:SendMessage'], [carried.plans.queueArn]),
        allow(['states:StartExecution'], [carried.rollout.attrArn]),
        allow(['states:SendTaskSuccess'], machines),
      ],
      wildcards: { [data.planObjects]: 'The plan of each site is an object of its own.' },
    });
    const describe = served('describe-api', 'The OpenAPI document', {
      reservedConcurrency: 5,
      memoryMegabytes: 256,
      timeout: Duration.seconds(10),
      statements: [],
    });

    const importer = new WardlineFunction(this, 'ImportDevices', {
      ...defaults,
      name: 'import-devices',
      description: 'Carries out an import in parts, each of which can be resumed',
      invocation: { kind: 'polled' },
      // Each part of a file asks for the next one.
      callsItself: true,
      reservedConcurrency: 2,
      memoryMegabytes: 512,
      timeout: importTimeout,
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        IMPORTS_BUCKET: data.imports.bucketName,
        IMPORTS_QUEUE_URL: imports.queueUrl,
      },
      statements: [
        consumeQueue(imports),
        allow(['sqs:SendMessage'], [imports.queueArn]),
        allow(['s3:GetObject', 's3:PutObject'], [importFiles]),
        tableAccess(data.devices, ['GetItem', 'PutItem']),
        tableAccess(data.directory, ['GetItem', 'PutItem', 'Query']),
        // Sites are named in lists; this finds their ids.
        indexAccess(data.directory, 'byKind'),
      ],
      wildcards: { [importFiles]: 'Each import is an object of its own.' },
    });
    readQueue(importer, imports, { size: 1, concurrency: 2 });

    const alerts = new SafetyAlerts(this, 'SafetyAlerts', { settings, data, functions: defaults });
    this.alertFailures = alerts.failures;

    const behindApi = [places, enrollment, devices, commands, brake, interlock, rollouts, audit, describe];
    this.api = new ManagementApi(this, 'ManagementApi', {
      name: `${prefix}-management`,
      routes,
      functions: new Map(behindApi.map((served) => [served.name, served])),
      authorizer: authorize,
      logs: defaults.logs,
    });
    new CfnOutput(this, 'ManagementApiUrl', { value: this.api.api.url });

    this.functions = [authorize, ...behindApi, importer, alerts.sender, alerts.reviews];
  }
}
