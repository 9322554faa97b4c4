import { listOf, member } from '../../infra/checks/resolved.ts';
import { readSettings } from '../../infra/settings.ts';
import { defineWardline, newApp } from '../../infra/wardline.ts';
import { resourcesOf, sampleContext, sources, synthesized } from '../support/synthesized.ts';

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

  test('nobody is told of alarms, but the alarms are there', () => {
    expect(resourcesOf(synth, 'AWS::SNS::Subscription')).toEqual([]);
    expect(resourcesOf(synth, 'AWS::CloudWatch::Alarm').length).toBeGreaterThan(40);
  });

  test('nothing was looked up', () => {
    expect(synth.lookups).toEqual([]);
  });
});

describe('with wardline:vpc and wardline:replicaRegions', () => {
  const keyArn = 'arn:aws:kms:us-west-2:111122223333:key/sample';
  const synth = synthesized({
    ...withoutDomain,
    'wardline:vpc': {},
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
