import { Annotations, CfnOutput, CustomResource, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { DomainName, HttpMethod, SecurityPolicy } from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { allow } from '../constructs/allow.ts';
import { DeviceMessages } from '../constructs/device-messages.ts';
import { DeviceRegistry, deviceNames } from '../constructs/device-registry.ts';
import { consumeQueue, consumeStream, readQueue, readStream } from '../constructs/event-sources.ts';
import { asBucket } from '../constructs/exact-types.ts';
import { FunctionSchedule } from '../constructs/function-schedule.ts';
import { HttpFront } from '../constructs/http-front.ts';
import { deadLetterQueue, failureQueue, workQueue } from '../constructs/queue.ts';
import { indexAccess, tableAccess } from '../constructs/table-access.ts';
import { type FunctionDefaults, WardlineFunction } from '../constructs/wardline-function.ts';
import type { Settings } from '../settings.ts';
import type { DataStack } from './data.ts';

/** What the device front is made from. */
export interface DevicesStackProps extends StackProps {
  readonly settings: Settings;
  readonly data: DataStack;
  /** Takes what a stream's reader hands on to rollouts. */
  readonly rolloutChanges: Queue;
  readonly functions: FunctionDefaults;
}

/** Lambda filter: the head of a device. */
const headKey = { sk: { S: ['HEAD'] } };

/** Lambda filter: an open command. */
const openKey = { sk: { S: [{ prefix: 'OPEN#' }] } };

/** The object in the truststore bucket that API Gateway trusts. */
const truststoreKey = 'truststore.pem';

/** Everything that devices talk to: MQTT, the mTLS host, the enrolment host, and the functions behind them. */
export class DevicesStack extends Stack {
  readonly functions: readonly WardlineFunction[];
  /** The mTLS host; undefined without setting `wardline:deviceDomain`. */
  readonly deviceApi: HttpFront | undefined;
  readonly enrollApi: HttpFront;
  /** Wake-ups that could not be handed over within a day. */
  readonly pushFailures: Queue;
  /** Revocations that could not be carried out within a day. */
  readonly retireFailures: Queue;
  readonly retireQueue: Queue;
  /** Calls of the function that hands on what was kept. */
  readonly forwardFailures: Queue;
  /** Messages and events that no function could process. */
  readonly messageFailures: Queue;
  readonly presenceFailures: Queue;
  readonly presenceQueue: Queue;
  /** Looks at devices that could not be woken again for an hour. */
  readonly wakeFailures: Queue;
  readonly wakeQueue: Queue;

  constructor(scope: Construct, id: string, props: DevicesStackProps) {
    super(scope, id, props);
    const { data, rolloutChanges, settings, functions: defaults } = props;
    const { name: prefix, deviceDomain } = settings;
    const names = deviceNames(prefix);
    const iot = (resource: string) => `arn:${this.partition}:iot:${this.region}:${this.account}:${resource}`;
    const key = data.operationsKey;

    this.messageFailures = failureQueue(this, 'MessageFailures', `${prefix}-device-message-failures`, key);
    this.pushFailures = failureQueue(this, 'PushFailures', `${prefix}-push-failures`, key);
    this.retireFailures = deadLetterQueue(this, 'RetireFailures', `${prefix}-retire-failures`, key);
    this.presenceFailures = deadLetterQueue(this, 'PresenceFailures', `${prefix}-presence-failures`, key);

    const replies = [iot('topic/wardline/*/checkin/accepted'), iot('topic/wardline/*/checkin/rejected')];
    const checkIn = new WardlineFunction(this, 'CheckIn', {
      ...defaults,
      name: 'device-checkin',
      description: 'Check-in of a device over MQTT or HTTPS: takes its report, gives it its commands',
      invocation: { kind: 'asynchronous', failures: this.messageFailures, maxAge: Duration.minutes(5) },
      reservedConcurrency: 200,
      timeout: Duration.seconds(10),
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        INTERLOCK: JSON.stringify(settings.interlock),
      },
      statements: [
        tableAccess(data.devices, ['Query', 'GetItem', 'PutItem', 'UpdateItem', 'DeleteItem']),
        indexAccess(data.devices, 'bySite'),
        // Of the Directory table nothing but the brakes that are pulled, the place of the device, the rollout that it is in,
        // and the devices of its unit that are out of service.
        allow(['dynamodb:Query'], [data.directory.tableArn], {
          'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': 'BRAKE' },
        }),
        allow(['dynamodb:GetItem'], [data.directory.tableArn], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['SITE#*', 'ROLLOUT#*', 'SPARES#*'] },
        }),
        allow(['dynamodb:UpdateItem'], [data.directory.tableArn], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'SPARES#*' },
        }),
        // A device is let in on condition that its rollout was not paused meanwhile.
        allow(['dynamodb:ConditionCheckItem'], [data.directory.tableArn], {
          'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': 'ROLLOUT#*#FENCE#*' },
        }),
        allow(['iot:Publish'], replies),
      ],
      wildcards: Object.fromEntries(replies.map((topic) => [topic, 'Answers each device on a topic of its own.'])),
    });

    const connections = iot('client/d-*');
    const wakeUp = allow(['iot:SendDirectMessage'], [connections], { StringLike: { 'iot:Topic': 'wardline/*/wake' } });
    const wakesAny = 'Wakes whichever device has a command waiting; the topic is limited by a condition.';
    const wakeTimeout = Duration.seconds(20);
    this.wakeFailures = deadLetterQueue(this, 'WakeFailures', `${prefix}-wake-failures`, key);
    const wakeQueue = workQueue(this, 'WakeQueue', {
      name: `${prefix}-wake`,
      key,
      visibilityTimeout: Duration.seconds(wakeTimeout.toSeconds() * 6),
      // An hour, so that an outage of the broker is outlived.
      attempts: 30,
      deadLetters: this.wakeFailures,
    });
    const retireTimeout = Duration.seconds(30);
    const retireQueue = workQueue(this, 'RetireQueue', {
      name: `${prefix}-retire`,
      key,
      visibilityTimeout: Duration.seconds(retireTimeout.toSeconds() * 6),
      // A day: a certificate that was revoked must not stay in use because AWS IoT was out of order for an hour.
      attempts: 480,
      deadLetters: this.retireFailures,
    });
    const handedOn = {
      RETIRE_QUEUE_URL: retireQueue.queueUrl,
      ROLLOUT_CHANGES_QUEUE_URL: rolloutChanges.queueUrl,
    };
    const handsOn = allow(['sqs:SendMessage'], [retireQueue.queueArn, rolloutChanges.queueArn]);
    const keptForwards = { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': 'FORWARD' } };
    const push = new WardlineFunction(this, 'Push', {
      ...defaults,
      name: 'device-push',
      description: 'Reads the stream of the Devices table: wakes devices for new commands, hands on what others need',
      invocation: { kind: 'polled' },
      reservedConcurrency: 20,
      timeout: Duration.seconds(30),
      environment: { DEVICES_TABLE: data.devices.tableName, WAKE_QUEUE_URL: wakeQueue.queueUrl, ...handedOn },
      statements: [
        ...consumeStream(streamArn(data), this.pushFailures),
        tableAccess(data.devices, ['UpdateItem']),
        wakeUp,
        allow(['sqs:SendMessage'], [wakeQueue.queueArn]),
        handsOn,
        // What a queue does not take.
        tableAccess(data.devices, ['PutItem'], keptForwards),
      ],
      wildcards: { [connections]: wakesAny },
    });
    readStream(push, {
      streamArn: streamArn(data),
      batchSize: 100,
      patterns: [
        { eventName: ['INSERT'], dynamodb: { Keys: openKey } },
        // Those that wait for a time: somebody looks after the device when it has come.
        { eventName: ['MODIFY'], dynamodb: { Keys: openKey, NewImage: { status: { S: ['deferred'] } } } },
        // What commands of a rollout came to.
        {
          eventName: ['INSERT', 'MODIFY'],
          dynamodb: {
            Keys: { sk: { S: [{ prefix: 'OPEN#' }, { prefix: 'CLOSED#' }] } },
            NewImage: {
              status: { S: [{ 'anything-but': ['queued', 'pushed', 'delivered'] }] },
              parameters: { M: { rolloutId: { S: [{ exists: true }] } } },
            },
          },
        },
        {
          eventName: ['INSERT', 'MODIFY'],
          dynamodb: { Keys: { sk: { S: [{ prefix: 'EXECUTION#' }, { prefix: 'EXECUTED#' }] } } },
        },
        // Not every heartbeat: heads that were revoked, and heads that had a renewed certificate waiting.
        {
          eventName: ['MODIFY'],
          dynamodb: {
            Keys: headKey,
            $or: [
              { NewImage: { lifecycle: { S: ['revoked'] } } },
              { OldImage: { nextCertificate: { S: [{ exists: true }] } } },
            ],
          },
        },
      ],
      maxAge: Duration.hours(24),
      failures: this.pushFailures,
    });

    const wakeAgain = new WardlineFunction(this, 'WakeAgain', {
      ...defaults,
      name: 'device-wake-again',
      description: 'Wakes devices that have not fetched what they were woken for, or whose commands waited until now',
      invocation: { kind: 'polled' },
      // A look that found the device asleep plans the next one.
      callsItself: true,
      reservedConcurrency: 10,
      timeout: wakeTimeout,
      environment: { DEVICES_TABLE: data.devices.tableName, WAKE_QUEUE_URL: wakeQueue.queueUrl },
      statements: [
        consumeQueue(wakeQueue),
        tableAccess(data.devices, ['Query', 'BatchGetItem']),
        // All devices of a place where the brake was released.
        indexAccess(data.devices, 'bySite', ['Query', 'Scan']),
        wakeUp,
        allow(['sqs:SendMessage'], [wakeQueue.queueArn]),
      ],
      wildcards: { [connections]: wakesAny },
    });
    readQueue(wakeAgain, wakeQueue, { size: 10, concurrency: 5 });

    const presenceTimeout = Duration.seconds(20);
    // AWS delivers presence events unordered and more than once; a short delay lets a reconnect overtake its disconnect.
    const presenceQueue = workQueue(this, 'PresenceQueue', {
      name: `${prefix}-presence`,
      key,
      visibilityTimeout: Duration.seconds(presenceTimeout.toSeconds() * 6),
      delay: Duration.seconds(5),
      attempts: 5,
      deadLetters: this.presenceFailures,
    });
    const presence = new WardlineFunction(this, 'Presence', {
      ...defaults,
      name: 'device-presence',
      description: 'Records that a device connected or disconnected',
      invocation: { kind: 'polled' },
      reservedConcurrency: 10,
      timeout: presenceTimeout,
      environment: { DEVICES_TABLE: data.devices.tableName },
      statements: [consumeQueue(presenceQueue), tableAccess(data.devices, ['UpdateItem'])],
    });
    readQueue(presence, presenceQueue, { size: 100, window: Duration.seconds(1), concurrency: 5 });

    const caKey = data.deviceAuthorityKey;
    const authority = new WardlineFunction(this, 'DeviceAuthorityFunction', {
      ...defaults,
      name: 'device-authority',
      description: 'Makes the CA certificate of the devices at deployment, from the key in KMS',
      invocation: { kind: 'asynchronous', failures: this.messageFailures, maxAge: Duration.minutes(15) },
      reservedConcurrency: 1,
      timeout: Duration.minutes(1),
      environment: { CA_KEY_ID: caKey.keyId, TRUSTSTORE_BUCKET: data.truststore.bucketName },
      statements: [
        allow(['kms:Sign', 'kms:GetPublicKey'], [caKey.keyArn]),
        allow(['s3:GetObject', 's3:PutObject'], [data.truststore.arnForObjects(truststoreKey)]),
        // Without it S3 answers "access denied" for an object that does not exist yet.
        allow(['s3:ListBucket'], [data.truststore.bucketArn]),
      ],
      outsideVpc: 'Runs only during a deployment and answers to an address that CloudFormation names.',
    });
    const deviceAuthority = new CustomResource(this, 'DeviceAuthority', {
      resourceType: 'Custom::DeviceAuthority',
      serviceToken: authority.arn,
      serviceTimeout: Duration.minutes(5),
      properties: {
        KeyId: caKey.keyId,
        CommonName: `${prefix} device authority`,
        TruststoreBucket: data.truststore.bucketName,
        TruststoreKey: truststoreKey,
      },
    });
    const certificatePem = deviceAuthority.getAttString('CertificatePem');

    // Both doors are open to strangers: of the tables they reach what enrolment is about, and nothing else.
    const enrolment = [
      tableAccess(data.devices, ['GetItem', 'PutItem', 'UpdateItem'], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['DEVICE#*', 'CERTIFICATE#*'] },
      }),
      tableAccess(data.directory, ['GetItem', 'PutItem', 'UpdateItem'], {
        'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['TOKEN#*', 'ENROLLMENT#*'] },
      }),
    ];

    const things = iot('thing/d-*');
    const certificates = iot('cert/*');
    const enroll = new WardlineFunction(this, 'Enroll', {
      ...defaults,
      name: 'device-enroll',
      description: 'EST (RFC 7030): issues the identity certificate of a device, renews it',
      invocation: { kind: 'synchronous' },
      reservedConcurrency: 20,
      memoryMegabytes: 512,
      timeout: Duration.seconds(20),
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        CA_KEY_ID: caKey.keyId,
        DEVICE_CA_CERTIFICATE: certificatePem,
        IOT_POLICY_NAME: names.devicePolicy,
        IOT_THING_TYPE: names.thingType,
        CERTIFICATE_DAYS: String(settings.certificateDays),
      },
      statements: [
        allow(['kms:Sign'], [caKey.keyArn]),
        ...enrolment,
        // AWS IoT knows no resource for the registration of a certificate that does not exist yet.
        allow(['iot:RegisterCertificateWithoutCA'], ['*']),
        allow(['iot:CreateThing', 'iot:AttachThingPrincipal'], [things]),
        allow(['iot:AttachThingPrincipal', 'iot:AttachPolicy', 'iot:UpdateCertificate'], [certificates]),
      ],
      wildcards: {
        [things]: 'Makes the thing of the device that enrols.',
        [certificates]: 'The id of a certificate is known only once it is issued.',
      },
    });

    const certificate = new WardlineFunction(this, 'Certificate', {
      ...defaults,
      name: 'device-certificate',
      description: 'Certificate provider of AWS IoT: issues from the device authority over MQTT',
      invocation: { kind: 'synchronous' },
      reservedConcurrency: 20,
      memoryMegabytes: 512,
      timeout: Duration.seconds(5),
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        CA_KEY_ID: caKey.keyId,
        DEVICE_CA_CERTIFICATE: certificatePem,
        CERTIFICATE_DAYS: String(settings.certificateDays),
      },
      statements: [allow(['kms:Sign'], [caKey.keyArn]), tableAccess(data.devices, ['GetItem'])],
    });

    const hook = new WardlineFunction(this, 'ProvisioningHook', {
      ...defaults,
      name: 'provisioning-hook',
      description: 'Decides whether a device that holds a claim certificate may be provisioned',
      invocation: { kind: 'synchronous' },
      reservedConcurrency: 20,
      memoryMegabytes: 512,
      timeout: Duration.seconds(5),
      environment: {
        DEVICES_TABLE: data.devices.tableName,
        DIRECTORY_TABLE: data.directory.tableName,
        DEVICE_CA_CERTIFICATE: certificatePem,
      },
      statements: enrolment,
    });

    const retire = new WardlineFunction(this, 'Retire', {
      ...defaults,
      name: 'device-retire',
      description: 'Switches off certificates that a device no longer has, and cuts off a revoked device',
      invocation: { kind: 'polled' },
      reservedConcurrency: 5,
      timeout: retireTimeout,
      statements: [
        consumeQueue(retireQueue),
        allow(['iot:UpdateCertificate'], [certificates]),
        allow(['iot:DeleteConnection'], [connections]),
      ],
      wildcards: {
        [certificates]: 'Switches off the certificate of whichever device was revoked or renewed.',
        [connections]: 'Disconnects whichever device was revoked.',
      },
    });
    readQueue(retire, retireQueue, { size: 10, concurrency: 5 });

    this.forwardFailures = failureQueue(this, 'ForwardFailures', `${prefix}-forward-failures`, key);
    const forwardAgain = new WardlineFunction(this, 'ForwardAgain', {
      ...defaults,
      name: 'device-forward-again',
      description: 'Hands on what a queue did not take from the reader of the stream',
      invocation: { kind: 'asynchronous', failures: this.forwardFailures, maxAge: Duration.minutes(5) },
      reservedConcurrency: 1,
      timeout: Duration.minutes(1),
      environment: { DEVICES_TABLE: data.devices.tableName, ...handedOn },
      statements: [tableAccess(data.devices, ['Query', 'DeleteItem'], keptForwards), handsOn],
    });
    new FunctionSchedule(this, 'ForwardAgainSchedule', {
      name: `${prefix}-forward-again`,
      description: 'Looks whether something waits to be handed on',
      function: forwardAgain,
      expression: 'rate(1 minute)',
      failures: this.forwardFailures,
    });

    new DeviceMessages(this, 'Messages', { checkIn, presence: presenceQueue, failures: this.messageFailures });
    new DeviceRegistry(this, 'Registry', { prefix, certificates: certificate, provisioningHook: hook });

    this.enrollApi = new HttpFront(this, 'EnrollApi', {
      name: `${prefix}-enroll`,
      description: 'Enrolment of devices that have no certificate yet (EST, RFC 7030)',
      routes: [
        { method: HttpMethod.GET, path: '/.well-known/est/cacerts', function: enroll },
        { method: HttpMethod.POST, path: '/.well-known/est/simpleenroll', function: enroll },
      ],
      logs: defaults.logs,
      throttle: { rateLimit: 50, burstLimit: 100 },
      withoutAuthorizer: 'EST authenticates with an enrolment token in HTTP Basic, which the function verifies.',
    });
    new CfnOutput(this, 'EnrollApiUrl', { value: this.enrollApi.url });

    if (deviceDomain === undefined) {
      const message =
        'The mTLS device host is left out: devices check in over MQTT only and cannot renew over EST. ' +
        'Set wardline:deviceDomain to have it (docs/operations.md#custom-domain).';
      Annotations.of(this).addInfoV2('wardline:no-device-domain', message);
      new CfnOutput(this, 'DeviceApiUrl', { value: 'none', description: message.slice(0, 200) });
    } else {
      const domain = new DomainName(this, 'DeviceDomain', {
        domainName: deviceDomain.name,
        certificate: Certificate.fromCertificateArn(this, 'DeviceDomainCertificate', deviceDomain.certificateArn),
        securityPolicy: SecurityPolicy.TLS_1_2,
        mtls: {
          bucket: asBucket(data.truststore),
          key: truststoreKey,
          version: deviceAuthority.getAttString('TruststoreVersion'),
        },
      });
      this.deviceApi = new HttpFront(this, 'DeviceApi', {
        name: `${prefix}-devices`,
        description: 'Devices with a client certificate: check-in, renewal',
        routes: [
          { method: HttpMethod.POST, path: '/v1/checkin', function: checkIn },
          { method: HttpMethod.POST, path: '/.well-known/est/simplereenroll', function: enroll },
        ],
        logs: defaults.logs,
        throttle: { rateLimit: 2000, burstLimit: 4000 },
        domain,
        withoutAuthorizer:
          'The TLS handshake proves the client certificate; the function compares it with the one pinned to the device.',
      });
      new CfnOutput(this, 'DeviceApiUrl', { value: this.deviceApi.url });
      new CfnOutput(this, 'DeviceDomainTarget', {
        value: domain.regionalDomainName,
        description: 'Point a CNAME (or alias) record of the device domain here.',
      });
    }
    new CfnOutput(this, 'DeviceCaCertificate', { value: certificatePem });
    new CfnOutput(this, 'ProvisioningTemplateName', { value: names.provisioningTemplate });

    this.presenceQueue = presenceQueue;
    this.wakeQueue = wakeQueue;
    this.retireQueue = retireQueue;
    this.functions = [checkIn, push, wakeAgain, presence, authority, enroll, certificate, hook, retire, forwardAgain];
  }
}

function streamArn(data: DataStack): string {
  const arn = data.devices.tableStreamArn;
  if (arn === undefined) throw new Error('The Devices table has no stream');
  return arn;
}
