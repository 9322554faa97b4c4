import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { resourcesOf, synthesizedUnchecked } from '../support/synthesized.ts';
import { permissionsByRole } from './permissions.ts';

const synth = synthesizedUnchecked();
const roles = permissionsByRole(synth);
const root = resolve(import.meta.dirname, '../..');

/** All files of this repository that a file imports, directly or not; imports of types alone are no code. */
function reachable(entry: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const waiting = [entry];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, types, path = ''] of text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from '(\.[^']+)';/gm)) {
      if (types === undefined) waiting.push(resolve(dirname(file), path));
    }
  }
  return new Set([...seen].map((file) => relative(root, file)));
}

const functions = readdirSync(join(root, 'functions')).filter((name) =>
  readdirSync(join(root, 'functions', name)).includes('handler.ts'),
);
const carrying = (file: string) =>
  functions.filter((name) => reachable(join(root, 'functions', name, 'handler.ts')).has(file)).sort();

describe('only the one writer writes commands', () => {
  test('the code that stores a new command is with people and rollouts, and reached through the writer alone', () => {
    const storing = carrying('shared/commands/insert.ts');
    expect(storing).toEqual(['manage-commands', 'rollout-progress', 'rollout-step', 'rollout-tick']);
    for (const name of storing) {
      const importing = [...reachable(join(root, 'functions', name, 'handler.ts'))].filter((file) =>
        /from '[^']*\/insert\.ts'/.test(readFileSync(join(root, file), 'utf8')),
      );
      expect([name, importing]).toEqual([name, ['shared/commands/writer.ts']]);
    }
    expect(readFileSync(join(root, 'shared/commands/writer.ts'), 'utf8')).toMatch(/passGates\(gatesOf\(/);
  });

  test('no other file of a function makes an item whose key is that of an open command', () => {
    const files = new Set(functions.flatMap((name) => [...reachable(join(root, 'functions', name, 'handler.ts'))]));
    const making = [...files].filter((file) => /sk: sortKeys\.open\(/.test(readFileSync(join(root, file), 'utf8')));
    // store.ts names the key to read, change and close a command; insert.ts to make it.
    expect(making.sort()).toEqual(['shared/commands/insert.ts', 'shared/commands/store.ts']);
    expect(readFileSync(join(root, 'shared/commands/store.ts'), 'utf8')).not.toMatch(/Put:[^}]*openItem/);
  });

  // IAM knows partition keys, not sort keys: it cannot tell a new head from a new command (docs/safety.md).
  test('the roles that IAM would let put an item into the Devices table are these', () => {
    const putting = Object.entries(roles)
      .filter(([, list]) =>
        list.some(
          ({ action, resource, conditions }) =>
            action === 'dynamodb:PutItem' &&
            resource.includes('Devices ') &&
            // What is to be handed on lies in a partition of its own.
            !JSON.stringify(conditions ?? '').includes('"dynamodb:LeadingKeys":"FORWARD"'),
        ),
      )
      .map(([role]) => role.split('/')[1])
      .sort();
    expect(putting).toEqual([
      'CheckInRole',
      'EnrollRole',
      'ImportDevicesRole',
      'ManageCommandsRole',
      'ManageDevicesRole',
      'ManageInterlockRole',
      'ManageRolloutsRole',
      'ProvisioningHookRole',
      'RolloutProgressRole',
      'RolloutStepRole',
      'RolloutTickRole',
    ]);
  });
});

test.each(['EnrollRole', 'ProvisioningHookRole'])(
  '%s: the doors for strangers reach devices and tokens only',
  (name) => {
    const own = Object.entries(roles).find(([role]) => role.endsWith(`/${name}`))?.[1] ?? [];
    const tables = own.filter(({ action }) => action.startsWith('dynamodb:'));
    const reached = tables.map(({ conditions }) => JSON.stringify(conditions ?? 'everything'));
    expect([...new Set(reached)].sort()).toEqual(
      [
        ['DEVICE#*', 'CERTIFICATE#*'],
        ['TOKEN#*', 'ENROLLMENT#*'],
      ].map((keys) => JSON.stringify({ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } })),
    );
  },
);

test('the check-in reads of the Directory table only brakes and places', () => {
  const role = Object.entries(roles).find(([name]) => name.endsWith('/CheckInRole'));
  const directory = (role?.[1] ?? []).filter(({ resource }) => resource.includes('Directory'));
  expect(directory.every(({ conditions }) => JSON.stringify(conditions ?? '').includes('dynamodb:LeadingKeys'))).toBe(
    true,
  );
  expect(directory.length).toBeGreaterThan(0);
});

test('alerts go to a topic that only their sender may publish to', () => {
  const publishing = Object.entries(roles)
    .filter(([, list]) => list.some(({ action }) => action === 'sns:Publish'))
    .map(([role]) => role.split('/')[1]);
  expect(publishing).toEqual([expect.stringMatching(/^SafetyAlertsSendAlerts/)]);
  const topics = resourcesOf(synth, 'AWS::SNS::Topic');
  expect(topics.every(({ Properties }) => Properties['KmsMasterKeyId'] !== undefined)).toBe(true);
});

test('every function that asks the policies carries them and their engine', () => {
  const asking = carrying('shared/identity/policy-set.ts').filter((name) =>
    /loadPolicies\(\)/.test(readFileSync(join(root, 'functions', name, 'handler.ts'), 'utf8')),
  );
  const carried = asking.filter((name) => readdirSync(join(root, 'functions', name)).includes('assets.json'));
  expect(asking).toContain('manage-brake');
  expect(carried).toEqual(asking);
});
