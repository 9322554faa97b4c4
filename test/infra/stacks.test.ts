import { readdirSync, readFileSync } from 'node:fs';
import { functionNames } from '../../infra/bundle.ts';
import { listOf, member, textOf } from '../../infra/checks/resolved.ts';
import { problemKinds } from '../../shared/http/problem-kinds.ts';
import { routes } from '../../shared/http/routes.ts';
import { resourcesOf, synthesized, type TemplateResource } from '../support/synthesized.ts';
import { permissionsByRole } from './permissions.ts';

// Synth runs AwsSolutions, HIPAA.Security, Serverless and our own checks: a finding throws here and fails every test.
const synth = synthesized();
const of = (type: string) => resourcesOf(synth, type);
const property = (resource: TemplateResource, path: string): unknown =>
  path.split('.').reduce<unknown>((value, name) => member(value, name), resource.Properties);

/** All properties of a resource, as text. */
const textOfAll = (resource: TemplateResource): string => JSON.stringify(resource.Properties);

/** A logical id without the hash that CDK gives it. */
const withoutHash = (id: string): string => id.replace(/[0-9A-F]{8}$/, '');

describe('what must outlive a deployment', () => {
  test.each(['AWS::DynamoDB::GlobalTable', 'AWS::S3::Bucket', 'AWS::KMS::Key'])(
    '%s lies in WardlineData and is kept',
    (type) => {
      expect(of(type).length).toBeGreaterThan(0);
      for (const resource of of(type)) expect([resource.id, resource.DeletionPolicy]).toEqual([resource.id, 'Retain']);
      expect(of(type).every(({ id }) => id.startsWith('WardlineData/'))).toBe(true);
    },
  );

  test('WardlineData holds no code', () => {
    expect(of('AWS::Lambda::Function').filter(({ id }) => id.startsWith('WardlineData/'))).toEqual([]);
  });

  test('tables: on demand, streamed, recoverable for 35 days, protected, encrypted with our key, never deleted', () => {
    const [devices, directory] = of('AWS::DynamoDB::GlobalTable');
    for (const table of [devices, directory]) {
      expect(table?.Properties).toMatchObject({
        BillingMode: 'PAY_PER_REQUEST',
        StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
        TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
        SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
        Replicas: [
          {
            Region: 'us-east-1',
            DeletionProtectionEnabled: true,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: 35 },
            ResourcePolicy: {
              PolicyDocument: {
                Statement: [{ Effect: 'Deny', Action: 'dynamodb:DeleteTable', Principal: { AWS: '*' } }],
              },
            },
          },
        ],
      });
    }
    expect(devices?.Properties['GlobalSecondaryIndexes']).toMatchObject([
      { IndexName: 'bySite', Projection: { ProjectionType: 'INCLUDE' } },
      { IndexName: 'byRollout', Projection: { ProjectionType: 'ALL' } },
    ]);
    expect(directory?.Properties['GlobalSecondaryIndexes']).toMatchObject([
      { IndexName: 'byKind', Projection: { ProjectionType: 'ALL' } },
    ]);
  });

  test('an attribute that each check-in changes is in no index', () => {
    const projected = of('AWS::DynamoDB::GlobalTable').flatMap((table) =>
      listOf(table.Properties['GlobalSecondaryIndexes']).flatMap((index) =>
        listOf(member(member(index, 'Projection'), 'NonKeyAttributes')),
      ),
    );
    expect(projected).not.toContain('lastSeenAt');
    expect(projected).not.toContain('presence');
    expect(projected).not.toContain('clinical');
  });

  test('audit records cannot be changed for six years, not even by the root user', () => {
    const locked = of('AWS::S3::Bucket').filter(({ Properties }) => Properties['ObjectLockEnabled'] === true);
    expect(locked).toHaveLength(1);
    expect(locked[0]?.Properties['ObjectLockConfiguration']).toEqual({
      ObjectLockEnabled: 'Enabled',
      Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 6 * 366 } },
    });
  });

  test('an object of the audit archive is written once: nobody deletes it, or puts a version over it', () => {
    const policies = of('AWS::S3::BucketPolicy').map((policy) => listOf(property(policy, 'PolicyDocument.Statement')));
    const denied = policies.find((statements) => statements.some((one) => member(one, 'Sid') === 'NobodyDeletes'));
    expect(denied).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Action: ['s3:BypassGovernanceRetention', 's3:DeleteObject', 's3:DeleteObjectVersion'],
        }),
        expect.objectContaining({
          Effect: 'Deny',
          Principal: { AWS: '*' },
          Action: 's3:PutObject',
          Condition: { Null: { 's3:if-none-match': 'true' } },
        }),
      ]),
    );
  });

  test('the keys of the device authority and of the audit digests sign with P-256 and cannot be exported', () => {
    const keys = of('AWS::KMS::Key').filter(({ Properties }) => Properties['KeyUsage'] === 'SIGN_VERIFY');
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      expect(key.Properties).toMatchObject({ KeySpec: 'ECC_NIST_P256' });
      expect(key.Properties['Origin'] ?? 'AWS_KMS').toBe('AWS_KMS');
    }
  });
});

describe('functions', () => {
  const functions = of('AWS::Lambda::Function');

  test('every folder of functions/ is deployed, and nothing else is: no function of a library hides in a stack', () => {
    const deployed = functions.map((one) => String(one.Properties['FunctionName']).replace(/^wardline-/, ''));
    const known = new Set([...functionNames(), ...routes.map((route) => route.function)]);
    expect(deployed.sort()).toEqual([...known].sort());
  });

  test('each has a role, a log group, limits, tracing and arm64 of its own choosing', () => {
    expect(new Set(functions.map((one) => textOf(property(one, 'Role')))).size).toBe(functions.length);
    expect(new Set(functions.map((one) => textOf(property(one, 'LoggingConfig.LogGroup')))).size).toBe(
      functions.length,
    );
    for (const one of functions) {
      expect(one.Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
        Timeout: expect.any(Number),
        MemorySize: expect.any(Number),
        ReservedConcurrentExecutions: expect.any(Number),
      });
    }
  });

  test('their reserved concurrency leaves 100 and more of an account of 1,000', () => {
    const reserved = functions.reduce((sum, one) => sum + Number(one.Properties['ReservedConcurrentExecutions']), 0);
    expect(reserved).toBeLessThanOrEqual(900);
  });

  test('a log group of its own, and a role that can write no other', () => {
    const roles = permissionsByRole(synth);
    const groups = new Map(of('AWS::Logs::LogGroup').map((group) => [group.id, group.Properties['LogGroupName']]));
    for (const one of functions) {
      const [stack = ''] = one.id.split('/');
      const group = String(property(one, 'LoggingConfig.LogGroup.Ref'));
      expect(groups.get(`${stack}/${group}`)).toBe(`/aws/lambda/${String(one.Properties['FunctionName'])}`);
      const role = `${stack}/${withoutHash(String(listOf(property(one, 'Role.Fn::GetAtt'))[0]))}`;
      const logs = (roles[role] ?? []).filter(({ action }) => action.startsWith('logs:'));
      expect([role, logs]).toEqual([
        role,
        ['logs:CreateLogStream', 'logs:PutLogEvents'].map((action) => ({
          action,
          resource: `<${withoutHash(group)}.Arn>`,
        })),
      ]);
    }
  });

  test('what fails has a place to go, however the function is called', () => {
    const kept = (value: unknown) => /Failures/.test(textOf(value));
    const queues = new Map(of('AWS::SQS::Queue').map((queue) => [queue.id.split('/')[1], queue]));
    for (const one of functions) {
      const [, id = ''] = one.id.split('/');
      const calls = (type: string, which: (resource: TemplateResource) => boolean = () => true) =>
        of(type).filter((resource) => textOfAll(resource).includes(`"${id}"`) && which(resource));
      const later = [
        ...calls('AWS::IoT::TopicRule'),
        ...calls('AWS::Scheduler::Schedule'),
        ...calls('Custom::DeviceAuthority'),
      ];
      const polled = calls('AWS::Lambda::EventSourceMapping');
      const atOnce = [
        ...calls('AWS::Lambda::Permission', ({ Properties }) => Properties['Principal'] === 'apigateway.amazonaws.com'),
        ...calls('AWS::IoT::CertificateProvider'),
        ...calls('AWS::IoT::ProvisioningTemplate'),
        ...calls('AWS::StepFunctions::StateMachine'),
      ];
      // A function that nothing calls, or that this test does not understand.
      expect([id, later.length + polled.length + atOnce.length > 0]).toEqual([id, true]);
      // Lambda queues these calls itself.
      const invokeConfigs = calls('AWS::Lambda::EventInvokeConfig');
      expect([id, invokeConfigs.length]).toEqual([id, later.length > 0 ? 1 : 0]);
      for (const config of invokeConfigs) {
        expect([id, kept(property(config, 'DestinationConfig.OnFailure.Destination'))]).toEqual([id, true]);
      }
      for (const schedule of later.filter(({ Type }) => Type === 'AWS::Scheduler::Schedule')) {
        expect([id, kept(property(schedule, 'Target.DeadLetterConfig.Arn'))]).toEqual([id, true]);
      }
      for (const mapping of polled) {
        const queue = queues.get(String(listOf(property(mapping, 'EventSourceArn.Fn::GetAtt'))[0]));
        const destination =
          queue === undefined
            ? property(mapping, 'DestinationConfig.OnFailure.Destination')
            : property(queue, 'RedrivePolicy.deadLetterTargetArn');
        expect([id, kept(destination)]).toEqual([id, true]);
      }
    }
  });

  test('a function that sends to the queue that it reads says so to Lambda, which stops a loop after 16 calls; no other does', () => {
    const roles = permissionsByRole(synth);
    const loops = functions.filter((one) => {
      const role = `${one.id.split('/')[0]}/${withoutHash(String(listOf(property(one, 'Role.Fn::GetAtt'))[0]))}`;
      const may = (action: string) =>
        (roles[role] ?? []).filter((permission) => permission.action === action).map(({ resource }) => resource);
      const reads = may('sqs:ReceiveMessage');
      return may('sqs:SendMessage').some((queue) => reads.includes(queue));
    });
    const allowed = functions.filter((one) => one.Properties['RecursiveLoop'] === 'Allow');
    const names = (list: typeof functions) => list.map((one) => one.Properties['FunctionName']);
    expect(names(allowed)).toEqual(names(loops));
    expect(names(allowed)).toEqual(['wardline-device-wake-again', 'wardline-import-devices']);
  });

  test('a queue is not shown a message again while its reader may still work on it', () => {
    const timeouts = new Map(functions.map((one) => [one.id.split('/')[1], Number(one.Properties['Timeout'])]));
    const queues = new Map(of('AWS::SQS::Queue').map((queue) => [queue.id.split('/')[1], queue]));
    const read = of('AWS::Lambda::EventSourceMapping').flatMap((mapping) => {
      const queue = queues.get(String(listOf(property(mapping, 'EventSourceArn.Fn::GetAtt'))[0]));
      const timeout = timeouts.get(String(property(mapping, 'FunctionName.Ref')));
      return queue === undefined
        ? []
        : [{ timeout: timeout ?? 0, visibility: Number(queue.Properties['VisibilityTimeout']), queue }];
    });
    expect(read).toHaveLength(6);
    for (const { timeout, visibility, queue } of read) {
      expect(visibility).toBeGreaterThanOrEqual(6 * timeout);
      expect(property(queue, 'RedrivePolicy.deadLetterTargetArn')).toBeDefined();
    }
  });

  test('every log group is encrypted and forgets', () => {
    for (const group of of('AWS::Logs::LogGroup')) {
      expect([group.id, group.Properties['RetentionInDays'], group.Properties['KmsKeyId'] !== undefined]).toEqual([
        group.id,
        400,
        true,
      ]);
    }
  });

  test('wake-ups survive an outage of an hour: tried for a day, then reported', () => {
    const push = of('AWS::Lambda::EventSourceMapping').find(({ id }) => id.includes('Push'));
    expect(push?.Properties).toMatchObject({
      StartingPosition: 'TRIM_HORIZON',
      BisectBatchOnFunctionError: true,
      MaximumRetryAttempts: -1,
      MaximumRecordAgeInSeconds: 86_400,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
    const filters = listOf(member(push?.Properties['FilterCriteria'], 'Filters'));
    expect(JSON.parse(String(member(filters[0], 'Pattern')))).toEqual({
      eventName: ['INSERT'],
      dynamodb: { Keys: { sk: { S: [{ prefix: 'OPEN#' }] } } },
    });
    // More than five are a quota that has to be asked for.
    expect(filters.length).toBeLessThanOrEqual(5);
  });

  test('the streams of both tables have two readers, as many as DynamoDB serves well', () => {
    const readers = new Map<string, string[]>();
    for (const mapping of of('AWS::Lambda::EventSourceMapping')) {
      const source = textOf(mapping.Properties['EventSourceArn']);
      if (!source.includes('StreamArn')) continue;
      const reader = textOf(mapping.Properties['FunctionName']).replace(/Function[0-9A-F]{8}.*$/, '');
      readers.set(source, [...(readers.get(source) ?? []), reader]);
    }
    expect([...readers.values()].map((names) => names.length)).toEqual([2, 2]);
    expect([...readers.values()].flat().sort()).toEqual([
      expect.stringContaining('ArchiveAudit'),
      expect.stringContaining('ArchiveAudit'),
      expect.stringContaining('Push'),
      expect.stringContaining('SafetyAlertsSendAlerts'),
    ]);
  });
});

describe('state machines', () => {
  const machines = of('AWS::StepFunctions::StateMachine');

  test('are standard workflows with traces, and logs of all steps without the tokens that their data holds', () => {
    expect(machines.map(({ Properties }) => Properties['StateMachineName']).sort()).toEqual([
      'wardline-rollout',
      'wardline-site-rollout',
    ]);
    for (const { Properties } of machines) {
      expect(Properties).toMatchObject({
        StateMachineType: 'STANDARD',
        TracingConfiguration: { Enabled: true },
        LoggingConfiguration: { Level: 'ALL', IncludeExecutionData: false },
      });
    }
  });

  test('their definitions name what is substituted, and nothing of an account', () => {
    for (const { Properties } of machines) {
      const text = String(Properties['DefinitionString']);
      const named = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name);
      expect([...new Set(named)].sort()).toEqual(Object.keys(Properties['DefinitionSubstitutions'] as object).sort());
      expect(text).not.toMatch(/\d{12}|us-east-1/);
    }
  });
});

describe('device front', () => {
  test('the device host is reached with a client certificate only', () => {
    const [domain] = of('AWS::ApiGatewayV2::DomainName');
    expect(domain?.Properties).toMatchObject({
      DomainName: 'devices.wardline.example.org',
      DomainNameConfigurations: [{ SecurityPolicy: 'TLS_1_2', EndpointType: 'REGIONAL' }],
      MutualTlsAuthentication: {
        TruststoreVersion: { 'Fn::GetAtt': ['DeviceAuthority', 'TruststoreVersion'] },
      },
    });
    const api = of('AWS::ApiGatewayV2::Api').find((one) => one.Properties['Name'] === 'wardline-devices');
    expect(api?.Properties['DisableExecuteApiEndpoint']).toBe(true);
  });

  test('routes', () => {
    const keys = of('AWS::ApiGatewayV2::Route').map((route) => route.Properties['RouteKey']);
    expect(keys.sort()).toEqual([
      'GET /.well-known/est/cacerts',
      'POST /.well-known/est/simpleenroll',
      'POST /.well-known/est/simplereenroll',
      'POST /v1/checkin',
    ]);
  });

  test('a device may connect, publish and listen as itself alone', () => {
    const policy = of('AWS::IoT::Policy').find((one) => one.Properties['PolicyName'] === 'wardline-device');
    const statements = listOf(member(policy?.Properties['PolicyDocument'], 'Statement'));
    const lines = statements.flatMap((statement) =>
      listOf(member(statement, 'Resource')).map(
        (resource) => `${String(member(statement, 'Action'))} ${textOf(resource).replace(/^.*?:\d{12}:/, '')}`,
      ),
    );
    const thing = '$' + '{iot:Connection.Thing.ThingName}';
    expect(lines).toEqual([
      `iot:Connect client/${thing}`,
      `iot:Publish topic/wardline/${thing}/checkin`,
      `iot:Publish topic/$aws/rules/wardline_checkin/wardline/${thing}/checkin`,
      `iot:Subscribe topicfilter/wardline/${thing}/checkin/accepted`,
      `iot:Subscribe topicfilter/wardline/${thing}/checkin/rejected`,
      `iot:Subscribe topicfilter/wardline/${thing}/wake`,
      `iot:Receive topic/wardline/${thing}/checkin/accepted`,
      `iot:Receive topic/wardline/${thing}/checkin/rejected`,
      `iot:Receive topic/wardline/${thing}/wake`,
    ]);
    expect(member(statements[0], 'Condition')).toEqual({ Bool: { 'iot:Connection.Thing.IsAttached': 'true' } });
  });

  test('topic rules: check-ins raw to their function, presence to a queue, failures kept', () => {
    const rules = new Map(
      of('AWS::IoT::TopicRule').map((rule) => [rule.Properties['RuleName'], rule.Properties['TopicRulePayload']]),
    );
    expect(rules.get('wardline_checkin')).toMatchObject({
      AwsIotSqlVersion: '2016-03-23',
      Sql: expect.stringContaining("encode(*, 'base64') AS payload"),
      Actions: [{ Lambda: {} }],
      ErrorAction: { Sqs: {} },
    });
    expect(rules.get('wardline_presence')).toMatchObject({ Actions: [{ Sqs: {} }], ErrorAction: { Sqs: {} } });
  });

  test('AWS IoT may call a function before it is told to', () => {
    const permissions = new Map(
      of('AWS::Lambda::Permission')
        .filter(({ Properties }) => Properties['Principal'] === 'iot.amazonaws.com')
        .map(({ id, Properties }) => [id.split('/')[1] ?? '', textOf(Properties['SourceArn'])]),
    );
    for (const [type, source] of [
      ['AWS::IoT::CertificateProvider', /:certificateprovider:wardline-device-authority$/],
      ['AWS::IoT::ProvisioningTemplate', /:provisioningtemplate\/wardline-claim$/],
    ] as const) {
      const [resource] = of(type);
      const waitsFor = listOf(resource?.DependsOn).map((id) => permissions.get(String(id)) ?? '');
      expect([type, waitsFor.some((arn) => source.test(arn))]).toEqual([type, true]);
    }
  });

  test('the provisioning template holds only what AWS documents', () => {
    const [template] = of('AWS::IoT::ProvisioningTemplate');
    const body = JSON.parse(String(template?.Properties['TemplateBody'])) as {
      Resources: Record<string, { Properties: object }>;
    };
    expect(
      Object.fromEntries(Object.entries(body.Resources).map(([id, one]) => [id, Object.keys(one.Properties)])),
    ).toEqual({
      thing: ['ThingName', 'ThingTypeName'],
      certificate: ['CertificateId', 'Status'],
      policy: ['PolicyName'],
    });
  });

  test('whoever holds a claim certificate cannot connect as a device', () => {
    const claim = of('AWS::IoT::Policy').find((one) => one.Properties['PolicyName'] === 'wardline-claim');
    const [connect] = listOf(member(claim?.Properties['PolicyDocument'], 'Statement'));
    expect(textOf(member(connect, 'Resource'))).toMatch(/:client\/claim-\*$/);
  });
});

describe('management API', () => {
  const methods = of('AWS::ApiGateway::Method');

  test('every route of the list is there, behind the authorizer unless it is public, and validated', () => {
    const byOperation = new Map(methods.map((method) => [method.Properties['OperationName'], method.Properties]));
    expect([...byOperation.keys()].sort()).toEqual(routes.map((route) => route.operation).sort());
    for (const route of routes) {
      const method = byOperation.get(route.operation);
      expect([
        route.operation,
        method?.['HttpMethod'],
        method?.['AuthorizationType'],
        method?.['RequestValidatorId'] !== undefined,
      ]).toEqual([route.operation, route.method, 'public' in route ? 'NONE' : 'CUSTOM', true]);
    }
  });

  test('stage v1: throttled, traced, no content in logs', () => {
    const [stage] = of('AWS::ApiGateway::Stage');
    expect(stage?.Properties).toMatchObject({
      StageName: 'v1',
      TracingEnabled: true,
      MethodSettings: [
        {
          HttpMethod: '*',
          ResourcePath: '/*',
          DataTraceEnabled: false,
          LoggingLevel: 'ERROR',
          ThrottlingRateLimit: 200,
        },
      ],
    });
    expect(textOf(member(stage?.Properties['AccessLogSetting'], 'Format'))).not.toMatch(/body|header|authorization/i);
  });

  test('what API Gateway refuses by itself is problem+json', () => {
    for (const response of of('AWS::ApiGateway::GatewayResponse')) {
      const { ResponseType, ResponseParameters, ResponseTemplates, StatusCode } = response.Properties;
      expect([ResponseType, member(ResponseParameters, 'gatewayresponse.header.Content-Type')]).toEqual([
        ResponseType,
        "'application/problem+json'",
      ]);
      const problem: unknown = JSON.parse(String(member(ResponseTemplates, 'application/json')));
      expect(problem).toMatchObject({
        status: Number(StatusCode),
        detail: expect.any(String),
        instance: 'urn:wardline:request:$context.requestId',
      });
      const [type, title] = [member(problem, 'type'), member(problem, 'title')];
      expect(problemKinds).toContainEqual(expect.objectContaining({ type, title }));
    }
    const types = of('AWS::ApiGateway::GatewayResponse').map((one) => one.Properties['ResponseType']);
    expect(types).toEqual(expect.arrayContaining(['UNAUTHORIZED', 'ACCESS_DENIED', 'DEFAULT_4XX', 'DEFAULT_5XX']));
  });

  test('the firewall lets a large import through and logs no token', () => {
    const [acl] = of('AWS::WAFv2::WebACL');
    const common = listOf(acl?.Properties['Rules']).find(
      (rule) => member(rule, 'Name') === 'AWSManagedRulesCommonRuleSet',
    );
    expect(member(member(member(common, 'Statement'), 'ManagedRuleGroupStatement'), 'RuleActionOverrides')).toEqual([
      { Name: 'SizeRestrictions_BODY', ActionToUse: { Count: {} } },
      // An update may lie on a server of the hospital that has an address and no name.
      { Name: 'GenericRFI_BODY', ActionToUse: { Count: {} } },
    ]);
    const [destination] = listOf(of('AWS::WAFv2::LoggingConfiguration')[0]?.Properties['LogDestinationConfigs']);
    expect(textOf(destination)).toMatch(/:log-group:<ManagementApiWafLog[0-9A-F]+>$/);
    expect(of('AWS::WAFv2::LoggingConfiguration')[0]?.Properties['RedactedFields']).toEqual([
      { SingleHeader: { Name: 'authorization' } },
    ]);
    expect(of('AWS::WAFv2::WebACLAssociation')).toHaveLength(1);
  });
});

describe('alarms', () => {
  const alarms = of('AWS::CloudWatch::Alarm');
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const anchors = [...page.matchAll(/^#{2,4} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  const anchorOf = (alarm: TemplateResource) =>
    /docs\/operations\.md#([\w-]+)$/.exec(String(alarm.Properties['AlarmDescription']))?.[1];

  test('each names a runbook that is a section of docs/operations.md', () => {
    expect(alarms.length).toBeGreaterThan(40);
    for (const alarm of alarms)
      expect([alarm.Properties['AlarmName'], anchors.includes(anchorOf(alarm) ?? '')]).toEqual([
        alarm.Properties['AlarmName'],
        true,
      ]);
  });

  test('each runbook says what to look at and what to do', () => {
    for (const anchor of new Set(alarms.map(anchorOf))) {
      const section = page.split(/^#{2,4} /m).find((text) => text.toLowerCase().startsWith(`${anchor}\n`));
      expect([anchor, section?.includes('**Look at**'), section?.includes('**Do**')]).toEqual([anchor, true, true]);
    }
  });

  test('each tells on-call when it begins and when it ends', () => {
    for (const alarm of alarms) {
      expect(listOf(alarm.Properties['AlarmActions'])).toHaveLength(1);
      expect(listOf(alarm.Properties['OKActions'])).toHaveLength(1);
    }
    expect(of('AWS::SNS::Subscription')[0]?.Properties).toMatchObject({
      Protocol: 'email',
      Endpoint: 'oncall@example.org',
    });
  });

  test('alarms of this account may publish to the topic, over TLS', () => {
    const policy = of('AWS::SNS::TopicPolicy').find(({ id }) => id.startsWith('WardlineOperations/'));
    expect(member(policy?.Properties['PolicyDocument'], 'Statement')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          Effect: 'Allow',
          Principal: { Service: 'cloudwatch.amazonaws.com' },
          Action: 'sns:Publish',
          Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } },
        }),
        expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      ]),
    );
  });

  test('what functions report themselves is reported by the function that the alarm or the dashboard looks for', () => {
    const text = [...alarms, ...of('AWS::CloudWatch::Dashboard')].map(({ Properties }) => textOf(Properties)).join();
    const pairs = [
      ...text.matchAll(
        /"Dimensions":\[\{"Name":"service","Value":"([\w-]+)"\}\],(?:"EvaluationPeriods":\d+,)?"MetricName":"(\w+)"/g,
      ),
      ...text.matchAll(/\\"Wardline\\",\\"(?<metric>\w+)\\",\\"service\\",\\"(?<service>[\w-]+)\\"/g),
    ].map(({ groups, 1: service = '', 2: metric = '' }) => [
      groups?.['service'] ?? service,
      groups?.['metric'] ?? metric,
    ]);
    expect(new Set(pairs.map((pair) => pair.join(' '))).size).toBeGreaterThanOrEqual(9);
    for (const [service = '', metric = ''] of pairs) {
      const folder = new URL(`../../functions/${service}/`, import.meta.url);
      const code = readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.name.endsWith('.ts'))
        .map((entry) => readFileSync(new URL(entry.name, folder), 'utf8'));
      expect([service, metric, code.some((source) => source.includes(`'${metric}'`))]).toEqual([service, metric, true]);
    }
  });

  test('every schedule is missed when it stops', () => {
    const silent = alarms.filter(({ Properties }) => Properties['TreatMissingData'] === 'breaching').map(textOfAll);
    const scheduled = of('AWS::Scheduler::Schedule').map(({ Properties }) => String(Properties['Name']));
    expect(scheduled.length).toBeGreaterThan(0);
    for (const name of scheduled) {
      const job = name.replace('wardline-', '');
      expect([job, silent.some((text) => new RegExp(`"(wardline-)?(device-)?${job}"`).test(text))]).toEqual([
        job,
        true,
      ]);
    }
  });

  test('every function and every dead-letter queue is watched', () => {
    const watched = alarms.map((alarm) => JSON.stringify(alarm.Properties));
    for (const one of of('AWS::Lambda::Function')) {
      const name = String(one.Properties['FunctionName']);
      for (const metric of ['Errors', 'Throttles']) {
        expect([
          name,
          metric,
          watched.some((text) => text.includes(`"${name}"`) && text.includes(`"MetricName":"${metric}"`)),
        ]).toEqual([name, metric, true]);
      }
    }
    const deadLetters = of('AWS::SQS::Queue').filter((queue) => queue.Properties['RedrivePolicy'] === undefined);
    const depth = watched.filter((text) => text.includes('"MetricName":"ApproximateNumberOfMessagesVisible"'));
    expect(depth).toHaveLength(deadLetters.length);
  });
});

test('outputs that a deployment is used by', () => {
  const outputs = Object.values(synth.templates).flatMap((template) => Object.keys(template.Outputs ?? {}));
  for (const name of [
    'ManagementApiUrl',
    'DeviceApiUrl',
    'EnrollApiUrl',
    'DeviceCaCertificate',
    'DeviceDomainTarget',
    'AlarmTopic',
  ]) {
    expect(outputs).toContain(name);
  }
});
