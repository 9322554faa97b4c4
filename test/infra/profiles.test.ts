import { readFileSync } from 'node:fs';
import { listOf, member, textOf } from '../../infra/checks/resolved.ts';
import { readSettings } from '../../infra/settings.ts';
import { cdkBehaviour, defineWardline, newApp } from '../../infra/wardline.ts';
import { resourcesOf, sampleContext, sources, synthesized } from '../support/synthesized.ts';
import { permissionsByRole } from './permissions.ts';

const withoutDomain = { 'wardline:oidc': sampleContext['wardline:oidc'] };

describe('without wardline:deviceDomain, in no account', () => {
  const synth = synthesized(withoutDomain, { CDK_DEFAULT_REGION: 'us-east-1' });

  test('the mTLS host is left out, and that is said', () => {
    expect(resourcesOf(synth, 'AWS::ApiGatewayV2::DomainName')).toEqual([]);
    expect(resourcesOf(synth, 'AWS::ApiGatewayV2::Api').map((api) => api.Properties['Name'])).toEqual([
      'wardline-enroll',
    ]);
    const devices = synth.wardline.devices;
    expect(synth.templates['WardlineDevices']?.Outputs['DeviceApiUrl']).toMatchObject({
      Value: 'none',
      Description: expect.stringContaining('The mTLS device host is left out'),
    });
    const said = devices.node.metadata.map((entry) => String(entry.data));
    expect(said.some((text) => text.includes('Set wardline:deviceDomain'))).toBe(true);
  });

  test('how many concurrent executions an account must have is said', () => {
    const said = synth.wardline.devices.node.metadata.map((entry) => String(entry.data));
    const reserved = resourcesOf(synth, 'AWS::Lambda::Function').reduce(
      (sum, one) => sum + Number(one.Properties['ReservedConcurrentExecutions']),
      0,
    );
    expect(said.some((text) => text.includes(`Functions reserve ${reserved} concurrent executions`))).toBe(true);
  });

  test('nobody is told of alarms, but the alarms are there', () => {
    expect(resourcesOf(synth, 'AWS::SNS::Subscription')).toEqual([]);
    expect(resourcesOf(synth, 'AWS::CloudWatch::Alarm').length).toBeGreaterThan(40);
  });

  test('nothing was looked up', () => {
    expect(synth.lookups).toEqual([]);
  });
});

/** The name of a service in IAM -> in its endpoint's name, where they differ. */
const endpointNames: Readonly<Record<string, string>> = { iot: 'iot.api' };

/** What goes to the data endpoint of AWS IoT. */
const iotData = /^iot:(Publish|SendDirectMessage|DeleteConnection)$/;

describe('with wardline:vpc and wardline:replicaRegions, without reservations', () => {
  const keyArn = 'arn:aws:kms:us-west-2:111122223333:key/sample';
  const synth = synthesized({
    ...withoutDomain,
    'wardline:vpc': {},
    'wardline:reserveConcurrency': false,
    'wardline:replicaRegions': [{ region: 'us-west-2', keyArn }],
    'wardline:retention': { auditMode: 'governance', auditYears: 1, logDays: 90 },
  });

  test('functions are in the VPC, but for those that have a reason', () => {
    const outside = resourcesOf(synth, 'AWS::Lambda::Function')
      .filter((one) => one.Properties['VpcConfig'] === undefined)
      .map((one) => one.Properties['FunctionName']);
    expect(outside.sort()).toEqual(['wardline-authorize', 'wardline-device-authority']);
  });

  test('nothing was looked up', () => {
    expect(synth.lookups).toEqual([]);
  });

  test('the VPC has no way to the internet, and its endpoints serve this account alone', () => {
    expect(resourcesOf(synth, 'AWS::EC2::NatGateway')).toEqual([]);
    expect(resourcesOf(synth, 'AWS::EC2::InternetGateway')).toEqual([]);
    const open = resourcesOf(synth, 'AWS::EC2::VPCEndpoint').filter(
      (endpoint) => !JSON.stringify(endpoint.Properties['PolicyDocument'] ?? '').includes('aws:PrincipalAccount'),
    );
    // AWS IoT's data endpoint takes no policy.
    expect(open).toHaveLength(1);
    expect(JSON.stringify(open[0]?.Properties['ServiceName'])).toContain('iot.data');
  });

  test('every service that a function in the VPC calls has an endpoint there', () => {
    const endpoints = resourcesOf(synth, 'AWS::EC2::VPCEndpoint').map((endpoint) =>
      textOf(endpoint.Properties['ServiceName']).replace(/^com\.amazonaws\.[^.]+\./, ''),
    );
    const roles = permissionsByRole(synth);
    const called = resourcesOf(synth, 'AWS::Lambda::Function')
      .filter((one) => one.Properties['VpcConfig'] !== undefined)
      .flatMap((one) => {
        const role = String(listOf(member(one.Properties['Role'], 'Fn::GetAtt'))[0]).replace(/[0-9A-F]{8}$/, '');
        return roles[`${one.id.split('/')[0]}/${role}`] ?? [];
      })
      // Lambda itself makes the network interfaces; whoever passes a role calls the service that takes it.
      .filter(({ action }) => !/^(ec2|iam):/.test(action))
      .map(({ action }) => {
        const service = action.split(':')[0] ?? '';
        return iotData.test(action) ? 'iot.data' : (endpointNames[service] ?? service);
      });
    expect(new Set(called)).toEqual(new Set(endpoints));
  });

  test('functions share what the account has', () => {
    const reserved = resourcesOf(synth, 'AWS::Lambda::Function').filter(
      (one) => one.Properties['ReservedConcurrentExecutions'] !== undefined,
    );
    expect(reserved).toEqual([]);
  });

  test('a table policy is only where the stack is: CloudFormation refuses one for a replica elsewhere', () => {
    for (const table of resourcesOf(synth, 'AWS::DynamoDB::GlobalTable')) {
      const policies = listOf(table.Properties['Replicas']).map((replica) => [
        member(replica, 'Region'),
        member(replica, 'ResourcePolicy') !== undefined,
      ]);
      expect(policies.sort()).toEqual([
        ['us-east-1', true],
        ['us-west-2', false],
      ]);
    }
  });

  test('both tables are replicated, with protection and a key there too', () => {
    for (const table of resourcesOf(synth, 'AWS::DynamoDB::GlobalTable')) {
      const replica = listOf(table.Properties['Replicas']).find((one) => member(one, 'Region') === 'us-west-2');
      expect(replica).toMatchObject({
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        SSESpecification: { KMSMasterKeyId: keyArn },
      });
    }
  });

  test('retention', () => {
    const [locked] = resourcesOf(synth, 'AWS::S3::Bucket').filter(
      (bucket) => bucket.Properties['ObjectLockEnabled'] === true,
    );
    expect(locked?.Properties['ObjectLockConfiguration']).toMatchObject({
      Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 366 } },
    });
    const days = resourcesOf(synth, 'AWS::Logs::LogGroup').map((group) => group.Properties['RetentionInDays']);
    expect(new Set(days)).toEqual(new Set([90]));
  });
});

test('a function without a handler stops synth and is named', () => {
  const settings = readSettings(sources(withoutDomain));
  expect(() => defineWardline(newApp(), settings, '/nowhere')).toThrow(
    'Function "plan-rollout" has no bundle: functions/plan-rollout/handler.ts does not exist.',
  );
});

test('every feature flag of CDK that a new project should have is decided', () => {
  const recommended = JSON.parse(
    readFileSync(new URL('../../node_modules/aws-cdk-lib/recommended-feature-flags.json', import.meta.url), 'utf8'),
  ) as object;
  expect(Object.keys(recommended).filter((flag) => !(flag in cdkBehaviour))).toEqual([]);
});
