import { listOf, member, textOf } from '../../infra/checks/resolved.ts';
import { resourcesOf, sampleContext, synthesized } from '../support/synthesized.ts';

// What AWS counts only when it is deployed, and the local cloud does not. The longest names that may be set, and the
// profile that adds statements to every role.
const synth = synthesized(
  { ...sampleContext, 'wardline:name': 'abcdefghijklmnopqrstu', 'wardline:vpc': {} },
  { CDK_DEFAULT_ACCOUNT: '111122223333', CDK_DEFAULT_REGION: 'us-east-1' },
);
const of = (type: string) => resourcesOf(synth, type);

/** As long as the value can become: a reference to a name or an ARN of ours is shorter than this. */
const reference = 'x'.repeat(120);

/** A value as AWS will see it, with every reference as long as it can become. */
function expanded(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expanded);
  if (typeof value !== 'object' || value === null) return value;
  const [[key, inner] = ['', undefined]] = Object.entries(value);
  if (key === 'Ref' && String(inner).startsWith('AWS::')) return inner === 'AWS::Partition' ? 'aws' : '111122223333';
  if (key === 'Ref' || key === 'Fn::GetAtt' || key === 'Fn::ImportValue') return reference;
  if (key === 'Fn::Join') return (listOf(inner)[1] as unknown[]).map((part) => String(expanded(part))).join('');
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, expanded(part)]));
}

const lengthOf = (value: unknown) => JSON.stringify(expanded(value)).length;

describe('limits of AWS', () => {
  test('CloudFormation: 500 resources and 200 outputs in a template of 1 MB', () => {
    for (const [stack, template] of Object.entries(synth.templates)) {
      expect([stack, Object.keys(template.Resources).length <= 450]).toEqual([stack, true]);
      expect([stack, Object.keys(template.Outputs ?? {}).length <= 200]).toEqual([stack, true]);
      expect([stack, JSON.stringify(template).length <= 900_000]).toEqual([stack, true]);
    }
  });

  test('IAM: 6,144 characters in a managed policy, 10 policies for a role', () => {
    for (const { id, Properties } of of('AWS::IAM::ManagedPolicy')) {
      expect([id, lengthOf(Properties['PolicyDocument']) <= 6_144]).toEqual([id, true]);
    }
    for (const { id, Properties } of of('AWS::IAM::Role')) {
      expect([id, listOf(Properties['ManagedPolicyArns']).length <= 10]).toEqual([id, true]);
    }
  });

  test('resource policies: 20 KB for a function, 32 KB for a key', () => {
    const grants = new Map<string, number>();
    for (const { Properties } of of('AWS::Lambda::Permission')) {
      const name = textOf(Properties['FunctionName']);
      grants.set(name, (grants.get(name) ?? 0) + 400);
    }
    expect(Math.max(...grants.values())).toBeLessThanOrEqual(20_480);
    for (const { id, Properties } of of('AWS::KMS::Key')) {
      expect([id, lengthOf(Properties['KeyPolicy']) <= 32_768]).toEqual([id, true]);
    }
  });

  test('AWS IoT: 2,048 characters in a policy, 10,240 in a provisioning template', () => {
    for (const { id, Properties } of of('AWS::IoT::Policy')) {
      expect([id, lengthOf(Properties['PolicyDocument']) <= 2_048]).toEqual([id, true]);
    }
    for (const { id, Properties } of of('AWS::IoT::ProvisioningTemplate')) {
      expect([id, String(Properties['TemplateBody']).length <= 10_240]).toEqual([id, true]);
    }
  });

  test('Lambda: 64 characters in a name, 4 KB of environment, 5 filters of 4,096 characters for a source', () => {
    for (const { id, Properties } of of('AWS::Lambda::Function')) {
      expect([id, String(Properties['FunctionName']).length <= 64]).toEqual([id, true]);
      // The certificate of the CA is longer than any other reference.
      const certificate = JSON.stringify(Properties['Environment']).includes('CertificatePem') ? 1_200 : 0;
      expect([id, lengthOf(Properties['Environment']) + certificate <= 4_096]).toEqual([id, true]);
    }
    for (const { id, Properties } of of('AWS::Lambda::EventSourceMapping')) {
      const filters = listOf(member(Properties['FilterCriteria'], 'Filters'));
      expect([id, filters.length <= 5]).toEqual([id, true]);
      for (const filter of filters) {
        expect([id, String(member(filter, 'Pattern')).length <= 4_096]).toEqual([id, true]);
      }
    }
  });

  test('API Gateway: 300 resources in a REST API, and one name for what stands at a place of a path', () => {
    expect(of('AWS::ApiGateway::Resource').length).toBeLessThanOrEqual(300);
    const variables = new Map<string, string[]>();
    for (const { Properties } of of('AWS::ApiGateway::Resource')) {
      const part = String(Properties['PathPart']);
      if (!part.startsWith('{')) continue;
      const parent = textOf(Properties['ParentId']);
      variables.set(parent, [...(variables.get(parent) ?? []), part]);
    }
    expect([...variables.values()].filter((parts) => parts.length > 1)).toEqual([]);
  });

  test('Step Functions: 1 MB in a definition, 80 characters in a name', () => {
    for (const { id, Properties } of of('AWS::StepFunctions::StateMachine')) {
      expect([id, String(Properties['DefinitionString']).length <= 1_000_000]).toEqual([id, true]);
      expect([id, String(Properties['StateMachineName']).length <= 80]).toEqual([id, true]);
    }
  });

  test('10 metrics in an alarm; 64 characters in the name of a schedule, 80 in that of a queue', () => {
    for (const { id, Properties } of of('AWS::CloudWatch::Alarm')) {
      expect([id, listOf(Properties['Metrics']).length <= 10]).toEqual([id, true]);
    }
    for (const { id, Properties } of of('AWS::Scheduler::Schedule')) {
      expect([id, String(Properties['Name']).length <= 64]).toEqual([id, true]);
    }
    for (const { id, Properties } of of('AWS::SQS::Queue')) {
      expect([id, String(Properties['QueueName']).length <= 80]).toEqual([id, true]);
    }
  });
});
