import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { listOf, member } from '../../infra/checks/resolved.ts';
import { resourcesOf, synthesizedUnchecked } from '../support/synthesized.ts';
import { asLines, permissionsByRole } from './permissions.ts';

const synth = synthesizedUnchecked();
const roles = permissionsByRole(synth);
const goldenFile = fileURLToPath(new URL('./permissions.json', import.meta.url));

test('what each role may do is what was reviewed (UPDATE_PERMISSIONS=1 npm run test:infra writes it anew)', () => {
  const lines = Object.fromEntries(Object.entries(roles).map(([role, permissions]) => [role, asLines(permissions)]));
  if (process.env['UPDATE_PERMISSIONS'] === '1') {
    writeFileSync(goldenFile, `${JSON.stringify(lines, null, 2)}\n`);
  }
  expect(lines).toEqual(JSON.parse(readFileSync(goldenFile, 'utf8')));
});

describe('no role', () => {
  const all = Object.entries(roles).flatMap(([role, permissions]) => permissions.map((one) => ({ role, ...one })));

  test('may use a pattern of actions', () => {
    expect(all.filter(({ action }) => action.includes('*'))).toEqual([]);
  });

  test('may use every resource, but for actions that know none', () => {
    const withoutResources = [
      'xray:PutTraceSegments',
      'xray:PutTelemetryRecords',
      'xray:GetSamplingRules',
      'xray:GetSamplingTargets',
      'iot:RegisterCertificateWithoutCA',
      // What fleet provisioning looks up before it attaches a policy.
      ...['ListAttachedPolicies', 'ListPolicyPrincipals', 'ListPrincipalPolicies'].map((action) => `iot:${action}`),
      // What Step Functions needs to write a log.
      ...['Create', 'Get', 'Update', 'Delete'].map((verb) => `logs:${verb}LogDelivery`),
      ...['ListLogDeliveries', 'PutResourcePolicy', 'DescribeResourcePolicies', 'DescribeLogGroups'].map(
        (action) => `logs:${action}`,
      ),
    ];
    const ofMachines = all.filter(({ action, resource }) => resource === '*' && action.startsWith('logs:'));
    expect([...new Set(ofMachines.map(({ role }) => role))]).toEqual([
      'WardlineRollouts/SiteRolloutRole',
      'WardlineRollouts/RolloutRole',
    ]);
    expect(all.filter(({ action, resource }) => resource === '*' && !withoutResources.includes(action))).toEqual([]);
    const lists = all.filter(({ action, resource }) => resource === '*' && action.startsWith('iot:List'));
    expect([...new Set(lists.map(({ role }) => role))]).toEqual(['WardlineDevices/RegistryProvisioningRole']);
  });

  test('may administer: identities, keys, tables, buckets, functions', () => {
    const forbidden =
      /^(iam|sts|organizations|cloudformation):|^(dynamodb|s3|sqs|lambda):(Create|Delete(Table|Bucket|Queue|Function)|Update(Table|Function)|Put(Bucket|Resource))|^kms:(?!Sign$|GetPublicKey$)/;
    const administering = all.filter(({ action }) => forbidden.test(action));
    // Whoever plans a call of a function hands EventBridge Scheduler the role that can make this call and nothing else.
    expect(administering.filter(({ action }) => action !== 'iam:PassRole')).toEqual([]);
    expect(administering).toEqual([
      {
        role: 'WardlineRollouts/RolloutStepRole',
        action: 'iam:PassRole',
        resource: '<RolloutTickScheduleRole.Arn>',
        conditions: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
      },
    ]);
  });

  test('tells a state machine what it waits for, but those that drive rollouts and that people stop them by', () => {
    const answering = all.filter(({ action }) => action.startsWith('states:SendTask'));
    expect([...new Set(answering.map(({ role, action }) => `${role.split('/')[1]} ${action}`))].sort()).toEqual([
      'ManageRolloutsRole states:SendTaskSuccess',
      'RolloutProgressRole states:SendTaskSuccess',
      'RolloutStepRole states:SendTaskSuccess',
      'RolloutTickRole states:SendTaskSuccess',
    ]);
  });

  test('has a policy of AWS, but for the one that API Gateway asks for', () => {
    expect(all.filter(({ action }) => action === 'managed policy').map(({ role }) => role)).toEqual([
      'WardlineManagement/ManagementApiCloudWatchRole',
    ]);
  });

  test('is anybody else in the account able to take', () => {
    for (const role of resourcesOf(synth, 'AWS::IAM::Role')) {
      for (const statement of listOf(member(role.Properties['AssumeRolePolicyDocument'], 'Statement'))) {
        const principal = String(member(member(statement, 'Principal'), 'Service'));
        // Lambda and API Gateway use a role only where somebody of this account passed it to them.
        if (['lambda.amazonaws.com', 'apigateway.amazonaws.com'].includes(principal)) continue;
        expect([role.id, principal, member(member(statement, 'Condition'), 'StringEquals')]).toEqual([
          role.id,
          expect.stringMatching(/^(iot|scheduler|states)\.amazonaws\.com$/),
          { 'aws:SourceAccount': '111122223333' },
        ]);
      }
    }
  });
});

test('the archive: two roles write it, none deletes', () => {
  const on = Object.entries(roles).flatMap(([role, list]) =>
    list
      .filter(({ resource }) => resource.startsWith('<Audit Arn>'))
      .map(({ action }) => `${role.split('/')[1]} ${action}`),
  );
  expect(
    on.filter((line) => !/ s3:(GetObject|ListBucket)$/.test(line)).filter((line, at, all) => all.indexOf(line) === at),
  ).toEqual(['ArchiveAuditRole s3:PutObject', 'CloseAuditRole s3:PutObject']);
});

test('nobody else writes devices', () => {
  const writers = Object.entries(roles)
    .filter(([, list]) =>
      list.some(
        ({ action, resource }) => /dynamodb:(Put|Update|Delete)Item/.test(action) && resource.includes('Devices '),
      ),
    )
    .map(([role]) => role.split('/')[1]);
  expect(writers.sort()).toEqual([
    'CheckInRole',
    'EnrollRole',
    // Only what is to be handed on.
    'ForwardAgainRole',
    'ImportDevicesRole',
    'ManageCommandsRole',
    'ManageDevicesRole',
    'ManageInterlockRole',
    // Only devices that a person puts back into service.
    'ManageRolloutsRole',
    'PresenceRole',
    'ProvisioningHookRole',
    'PushRole',
    'RolloutProgressRole',
    'RolloutStepRole',
    'RolloutTickRole',
  ]);
});

test('every permission to invoke a function names the account and the resource that may', () => {
  for (const { id, Properties } of resourcesOf(synth, 'AWS::Lambda::Permission')) {
    expect([id, Properties['Action'], Properties['Principal'] !== '*', Properties['SourceArn'] !== undefined]).toEqual([
      id,
      'lambda:InvokeFunction',
      true,
      true,
    ]);
  }
});
