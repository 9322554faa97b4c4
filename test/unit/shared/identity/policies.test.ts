import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Action, actions, commandActions } from '../../../../shared/identity/actions.ts';
import type { Caller } from '../../../../shared/identity/caller.ts';
import { permissionTable } from '../../../../shared/identity/permission-table.ts';
import { withPolicies } from '../../../../shared/identity/policy-docs.ts';
import { loadPolicies, PolicySet, policyFolder } from '../../../../shared/identity/policy-set.ts';
import {
  deviceResource,
  importResource,
  organization,
  type Resource,
  rolloutResource,
  siteResource,
  tokenResource,
  unitResource,
} from '../../../../shared/identity/resource.ts';
import { callerWith } from '../../../support/api.ts';

const policies = loadPolicies();
const fresh = { mfa: true, signInAgeSeconds: 0 };
const device = (platform: 'apple' | 'iomt', siteId?: string) =>
  deviceResource({
    id: `d-${platform}`,
    platform,
    class: platform === 'iomt' ? 'infusion-pump' : 'tablet',
    ownership: 'organization',
    lifecycle: 'enrolled',
    ...(siteId === undefined ? {} : { siteId }),
  });
const deviceFacts = {
  id: 'd-1',
  platform: 'apple',
  class: 'tablet',
  ownership: 'organization',
  lifecycle: 'enrolled',
} as const;
const may = (caller: Caller, action: Action, resource: Resource, context = fresh) =>
  policies.decide(caller, action, resource, context).allowed;

/** For each action a resource that it is about, at site `s-1`. */
const resourceFor = (action: Action, platform: 'apple' | 'iomt' = 'apple'): Resource => {
  if (['CreateSite', 'ImportDevices', 'UpdateLimits', 'ApproveLimits'].includes(action)) return organization();
  if (
    action.endsWith('Site') ||
    action === 'ReadPlace' ||
    action === 'LoosenPlace' ||
    action === 'CreateUnit' ||
    action === 'ReadAudit'
  ) {
    return siteResource('s-1');
  }
  if (action.endsWith('Brake') || action === 'ReadApproval' || action === 'ReadLimits') return siteResource('s-1');
  if (action.endsWith('Unit')) return unitResource('s-1', 'u-1');
  if (action.endsWith('Token')) return tokenResource({ id: 't-1', siteId: 's-1', platform });
  if (action === 'ReadImport') return importResource('i-1', 'somebody');
  if (action.endsWith('Rollout') || action === 'ReturnDevice') {
    const classes = platform === 'iomt' ? (['infusion-pump'] as const) : (['tablet'] as const);
    return rolloutResource({ id: 'ro-1', siteIds: ['s-1'], classes });
  }
  return device(platform, 's-1');
};

/** Uploading says nothing yet of where; the brake is everybody's. */
const anywhere: readonly Action[] = ['ImportDevices', 'ReadImport', 'ReadBrake', 'PullBrake'];

describe('The shipped policies', () => {
  test('each have an id, and each forbid a reason', () => {
    for (const [id, policy] of policies.policies) {
      expect(policy.id).toBe(id);
      if (/\bforbid\s*\(/.test(policy.text)) expect(policy.reason).toMatch(/\.$/);
    }
  });

  test('let an administrator do everything, everywhere or at their sites', () => {
    for (const action of actions) {
      expect([action, may(callerWith('administrator'), action, resourceFor(action))]).toEqual([action, true]);
    }
    const local = callerWith('administrator', { sites: ['s-1'] });
    expect(may(local, 'UpdateSite', siteResource('s-1'))).toBe(true);
    expect(may(local, 'UpdateSite', siteResource('s-2'))).toBe(false);
    expect(may(local, 'CreateSite', organization())).toBe(false);
    expect(may(local, 'ReadDevice', device('apple'))).toBe(false);
  });

  test('decide about places that do not exist, too: ids come from requests', () => {
    const ids = fc.oneof(
      fc.constantFrom('organization', '__proto__', 's-1', '', '"', '\u0000'),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(ids, ids, (site, unit) => {
        const local = callerWith('administrator', { sites: ['s-2'] });
        const elsewhere = site !== 's-2' && unit !== 's-2';
        for (const place of [siteResource(site), unitResource(site, unit)]) {
          expect(may(callerWith('administrator'), 'ReadPlace', place)).toBe(true);
          if (elsewhere) expect(may(local, 'ReadPlace', place)).toBe(false);
        }
        const there = deviceResource({ ...deviceFacts, siteId: site, unitId: unit });
        expect(may(callerWith('administrator'), 'ReadDevice', there)).toBe(true);
        if (elsewhere) expect(may(local, 'ReadDevice', there)).toBe(false);
      }),
    );
  });

  test('the word for all that there is, in the sites of a token, gives no place: everywhere is `*` alone', () => {
    const caller = callerWith('administrator', { sites: ['organization'] });
    for (const action of actions.filter((each) => !anywhere.includes(each))) {
      expect([action, may(caller, action, resourceFor(action))]).toEqual([action, false]);
    }
    expect(may(caller, 'ReadPlace', organization())).toBe(false);
  });

  test('give the roles what their files say, at their sites', () => {
    const table: readonly (readonly [string, 'apple' | 'iomt', readonly Action[], readonly Action[]])[] = [
      [
        'site-it',
        'apple',
        ['RegisterDevice', 'WipeDevice', 'CreateUnit', 'CreateEnrollmentToken', 'ImportDevices'],
        ['CreateSite', 'DeleteSite', 'ReadAudit'],
      ],
      [
        'site-it',
        'iomt',
        ['ReadDevice', 'ReadCommand'],
        ['RegisterDevice', 'RestartDevice', 'CreateEnrollmentToken', 'RevokeDevice'],
      ],
      [
        'biomed',
        'iomt',
        ['RegisterDevice', 'RestartDevice', 'InstallUpdate', 'CreateEnrollmentToken', 'ImportDevices'],
        ['CreateUnit', 'LoosenPlace', 'DeleteSite', 'ReadAudit'],
      ],
      ['biomed', 'apple', ['ReadDevice'], ['LockDevice', 'UpdateDevice', 'RevokeDevice']],
      [
        'help-desk',
        'apple',
        ['ReadDevice', 'LockDevice', 'RestartDevice', 'LocateDevice', 'CollectLogs', 'RequestInBulk', 'CancelCommand'],
        ['WipeDevice', 'ApplyConfig', 'RegisterDevice', 'RevokeDevice', 'ReadEnrollmentToken', 'ImportDevices'],
      ],
      ['help-desk', 'iomt', ['ReadDevice'], ['RestartDevice', 'LockDevice', 'RequestInBulk', 'LoosenPlace']],
      [
        'auditor',
        'apple',
        ['ReadDevice', 'ReadPlace', 'ReadCommand', 'ReadEnrollmentToken', 'ReadAudit'],
        ['LockDevice', 'UpdateSite', 'RegisterDevice', 'CancelCommand', 'ImportDevices'],
      ],
    ];
    for (const [role, platform, allowed, denied] of table) {
      const caller = callerWith(role, { sites: ['s-1'] });
      for (const action of allowed)
        expect([role, action, may(caller, action, resourceFor(action, platform))]).toEqual([role, action, true]);
      for (const action of denied)
        expect([role, action, may(caller, action, resourceFor(action, platform))]).toEqual([role, action, false]);
    }
  });

  test('let nobody act at a site that is not theirs', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('administrator', 'security', 'site-it', 'biomed', 'help-desk', 'auditor'),
        fc.constantFrom(...actions.filter((action) => !anywhere.includes(action))),
        fc.constantFrom('apple' as const, 'iomt' as const),
        fc.subarray(['s-2', 's-3', 'u-9', 'somewhere']),
        (role, action, platform, sites) => {
          expect(may(callerWith(role, { sites }), action, resourceFor(action, platform))).toBe(false);
        },
      ),
    );
  });

  test('give nothing to unknown roles, to none, and to suspended accounts', () => {
    fc.assert(
      fc.property(fc.constantFrom(...actions), fc.string(), (action, role) => {
        fc.pre(!['administrator', 'security', 'site-it', 'biomed', 'help-desk', 'auditor'].includes(role));
        expect(may(callerWith(role), action, resourceFor(action))).toBe(false);
        expect(may({ ...callerWith(role), roles: [] }, action, resourceFor(action))).toBe(false);
        const suspended = policies.decide(
          callerWith('administrator', { status: 'suspended' }),
          action,
          resourceFor(action),
          fresh,
        );
        expect(suspended.allowed).toBe(false);
        expect(suspended.policies.map(({ id }) => id)).toContain('suspended');
      }),
    );
  });

  test('want a second factor within the last 15 minutes for a wipe', () => {
    const administrator = callerWith('administrator');
    const decide = (context: { mfa: boolean; signInAgeSeconds: number }) =>
      policies.decide(administrator, 'WipeDevice', device('apple', 's-1'), context);
    expect(decide({ mfa: true, signInAgeSeconds: 900 }).allowed).toBe(true);
    expect(decide({ mfa: true, signInAgeSeconds: 901 }).policies.map(({ id }) => id)).toEqual([
      'destructive-needs-fresh-mfa',
    ]);
    expect(decide({ mfa: false, signInAgeSeconds: 0 }).allowed).toBe(false);
  });

  test('let every operator pull any brake without a second factor, and want one for what destroys', () => {
    const plain = { mfa: false, signInAgeSeconds: 86_400 };
    for (const role of ['administrator', 'security', 'site-it', 'biomed', 'help-desk']) {
      const caller = callerWith(role, { sites: ['s-1'] });
      for (const place of [organization(), siteResource('s-1'), siteResource('s-2'), unitResource('s-2', 'u-1')]) {
        expect([role, may(caller, 'PullBrake', place, plain)]).toEqual([role, true]);
      }
      for (const action of ['ReleaseBrake', 'BreakGlass', 'ApproveCommand', 'RevokeDevice', 'UpdateLimits'] as const) {
        expect([role, action, may(caller, action, resourceFor(action), plain)]).toEqual([role, action, false]);
      }
      expect(may(caller, 'ReleaseBrake', siteResource('s-1'))).toBe(role !== 'help-desk');
      expect(may(caller, 'ReleaseBrake', organization())).toBe(false);
    }
    expect(may(callerWith('auditor'), 'PullBrake', organization())).toBe(false);
    expect(may(callerWith('auditor'), 'ReadBrake', organization())).toBe(true);
  });

  test('want biomedical engineering as the second person for patient care, and others for the rest', () => {
    const pump = device('iomt', 's-1');
    const tablet = device('apple', 's-1');
    const approves = (role: string, resource: Resource) =>
      may(callerWith(role, { sites: ['s-1'] }), 'ApproveCommand', resource);
    for (const role of ['administrator', 'security', 'site-it', 'help-desk', 'auditor']) {
      expect([role, approves(role, pump)]).toEqual([role, false]);
    }
    expect([approves('biomed', pump), approves('biomed', tablet)]).toEqual([true, false]);
    expect([approves('security', tablet), approves('site-it', tablet), approves('administrator', tablet)]).toEqual([
      true,
      true,
      true,
    ]);
    expect([approves('help-desk', tablet), approves('auditor', tablet)]).toEqual([false, false]);
  });

  test('let biomedical engineering alone enrol what is a pump, whatever it runs on', () => {
    const token = (more: object) => tokenResource({ id: 't-1', siteId: 's-1', platform: 'linux', ...more });
    const who = (more: object) =>
      ['administrator', 'biomed', 'site-it', 'security', 'help-desk'].filter((role) =>
        may(callerWith(role, { sites: ['s-1'] }), 'CreateEnrollmentToken', token(more)),
      );
    expect(who({ class: 'infusion-pump' })).toEqual(['administrator', 'biomed']);
    expect(who({ class: 'workstation' })).toEqual(['administrator', 'site-it']);
    expect(who({})).toEqual(['administrator', 'site-it']);
  });

  describe('on rollouts', () => {
    const pumps = rolloutResource({ id: 'ro-1', siteIds: ['s-1', 's-2'], classes: ['infusion-pump', 'other'] });
    const tablets = rolloutResource({ id: 'ro-2', siteIds: ['s-1', 's-2'], classes: ['tablet'] });
    const mixed = rolloutResource({ id: 'ro-3', siteIds: ['s-1', 's-2'] });
    const network = rolloutResource({ id: 'ro-4', classes: ['infusion-pump'] });
    const rollouts = { pumps, tablets, mixed, network };
    const at = (role: string, sites: readonly string[]) => callerWith(role, { sites: [...sites] });
    const both = ['s-1', 's-2', 's-3'];
    const allowed = (caller: Caller, action: Action, context = fresh) =>
      Object.entries(rollouts)
        .filter(([, rollout]) => may(caller, action, rollout, context))
        .map(([name]) => name);

    test('let those run them whose devices and sites they are, all of these', () => {
      for (const action of [
        'CreateRollout',
        'EditRollout',
        'SubmitRollout',
        'OperateRollout',
        'ReturnDevice',
        'PromoteRollout',
      ] as const) {
        expect([action, allowed(at('biomed', both), action)]).toEqual([action, ['pumps']]);
        expect([action, allowed(at('site-it', both), action)]).toEqual([action, ['tablets']]);
        expect([action, allowed(at('administrator', both), action)]).toEqual([action, ['pumps', 'tablets', 'mixed']]);
        expect([action, allowed(at('biomed', ['*']), action)]).toEqual([action, ['pumps', 'network']]);
        expect([action, allowed(at('administrator', ['*']), action)]).toEqual([action, Object.keys(rollouts)]);
        for (const role of ['biomed', 'site-it', 'administrator']) {
          expect([action, role, allowed(at(role, ['s-1']), action)]).toEqual([action, role, []]);
        }
        for (const role of ['security', 'help-desk', 'auditor', 'integration']) {
          expect([action, role, allowed(at(role, ['*']), action)]).toEqual([action, role, []]);
        }
      }
    });

    test('want a second person who fits the devices', () => {
      expect(allowed(at('biomed', both), 'ApproveRollout')).toEqual(['pumps', 'mixed']);
      expect(allowed(at('site-it', both), 'ApproveRollout')).toEqual(['tablets']);
      expect(allowed(at('security', ['*']), 'ApproveRollout')).toEqual(['tablets']);
      expect(allowed(at('biomed', ['*']), 'ApproveRollout')).toEqual(['pumps', 'mixed', 'network']);
      for (const sites of [both, ['*']]) {
        expect([sites, allowed(at('administrator', sites), 'ApproveRollout')]).toEqual([sites, ['tablets']]);
      }
      expect(allowed(at('biomed', ['s-1']), 'ApproveRollout')).toEqual([]);
      expect(allowed(at('help-desk', ['*']), 'ApproveRollout')).toEqual([]);
    });

    test('want a fresh second factor to submit, to approve, to promote by hand and to roll back', () => {
      const plain = { mfa: false, signInAgeSeconds: 86_400 };
      for (const action of ['SubmitRollout', 'ApproveRollout', 'PromoteRollout', 'RollBackRollout'] as const) {
        expect([action, allowed(at('administrator', ['*']), action, plain)]).toEqual([action, []]);
      }
      expect(allowed(at('administrator', ['*']), 'OperateRollout', plain)).toEqual(Object.keys(rollouts));
    });

    test('let any operator at one of its sites see and stop it without a second factor, and auditors see it', () => {
      const plain = { mfa: false, signInAgeSeconds: 86_400 };
      for (const role of ['administrator', 'security', 'site-it', 'biomed', 'help-desk']) {
        expect([role, allowed(at(role, ['s-2']), 'StopRollout', plain)]).toEqual([role, Object.keys(rollouts)]);
        expect([role, allowed(at(role, ['s-2']), 'ReadRollout', plain)]).toEqual([role, Object.keys(rollouts)]);
        expect([role, allowed(at(role, ['s-9']), 'StopRollout', plain)]).toEqual([role, ['network']]);
        expect([role, allowed(at(role, []), 'StopRollout', plain)]).toEqual([role, []]);
      }
      expect(allowed(at('auditor', ['s-1']), 'ReadRollout')).toEqual(Object.keys(rollouts));
      expect(allowed(at('auditor', ['s-1']), 'StopRollout')).toEqual([]);
      expect(allowed(at('integration', ['*']), 'ReadRollout')).toEqual([]);
    });
  });

  test('show an upload to who made it', () => {
    const caller = callerWith('site-it', { sub: 'ida', sites: ['s-1'] });
    expect(may(caller, 'ReadImport', importResource('i-1', 'ida'))).toBe(true);
    expect(may(caller, 'ReadImport', importResource('i-1', 'bea'))).toBe(false);
  });

  test('know a permission for each type of command', () => {
    for (const action of Object.values(commandActions)) expect(actions).toContain(action);
  });
});

test("a pump is biomedical engineering's, whatever it runs on", () => {
  const pump = deviceResource({
    id: 'd-1',
    platform: 'linux',
    class: 'infusion-pump',
    ownership: 'organization',
    lifecycle: 'enrolled',
    siteId: 's-1',
  });
  for (const action of ['RestartDevice', 'WipeDevice', 'UpdateDevice', 'RevokeDevice'] as const) {
    expect([action, may(callerWith('biomed', { sites: ['s-1'] }), action, pump)]).toEqual([action, true]);
    for (const role of ['site-it', 'help-desk']) {
      const { allowed, policies: why } = policies.decide(callerWith(role, { sites: ['s-1'] }), action, pump, fresh);
      expect([role, action, allowed, why.map(({ id }) => id)]).toEqual([
        role,
        action,
        false,
        ['patient-care-is-run-by-biomed'],
      ]);
    }
  }
  // Calling back stays easy.
  expect(may(callerWith('help-desk'), 'CancelCommand', pump)).toBe(true);
});

test('docs/authorization.md shows the policies as they are (npm run docs:api)', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/authorization.md'), 'utf8');
  expect(withPolicies(page)).toBe(page);
});

test('the examples of docs/authorization.md are valid and do what they say', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/authorization.md'), 'utf8');
  const examples = [...page.slice(0, page.indexOf('<!-- policies -->')).matchAll(/```cedar\n([\s\S]*?)```/g)].map(
    ([, text]) => text ?? '',
  );
  expect(examples).toHaveLength(2);
  // A hospital may have taken them over as they are.
  const taken = examples.filter((example) => policies.policies.has(/@id\("([^"]+)"\)/.exec(example)?.[1] ?? ''));
  const files = readdirSync(policyFolder)
    .filter((name) => name.endsWith('.cedar'))
    .map((name) => readFileSync(join(policyFolder, name), 'utf8'));
  const schema = readFileSync(join(policyFolder, 'wardline.cedarschema'), 'utf8');
  const set = new PolicySet('examples', schema, [...files, ...examples.filter((each) => !taken.includes(each))]);
  const table = permissionTable(set, schema);
  expect(table.find((row) => row.startsWith('| `RestartDevice`'))).toContain(
    'phones, tablets, workstations, other, patient-monitor idle',
  );
  expect(table[0]).toContain('`contractor`');
  const monitor = (state: 'idle' | 'in-use') =>
    deviceResource({
      id: 'd-m',
      platform: 'iomt',
      class: 'patient-monitor',
      ownership: 'organization',
      lifecycle: 'enrolled',
      siteId: 's-1',
      clinical: { state },
    });
  const hal = callerWith('help-desk', { sites: ['s-1'] });
  expect(set.decide(hal, 'RestartDevice', monitor('idle'), fresh).allowed).toBe(true);
  expect(set.decide(hal, 'RestartDevice', monitor('in-use'), fresh).allowed).toBe(false);
  const contractor = { ...callerWith('administrator'), roles: ['administrator', 'contractor'] };
  expect(set.decide(contractor, 'ReadDevice', monitor('idle'), fresh).allowed).toBe(true);
  expect(set.decide(contractor, 'RestartDevice', monitor('idle'), fresh).policies.map(({ id }) => id)).toEqual([
    'contractors-only-read',
  ]);
});

describe('A set of policies', () => {
  const schema =
    'namespace Wardline { entity Role; entity Place in [Place]; entity User in [Role] { places: Set<Place>, status: String }; type A = { mfa: Bool, signInAgeSeconds: Long }; action ReadPlace appliesTo { principal: [User], resource: [Place], context: A }; }';
  const everything = '@id("all") permit (principal, action, resource);';

  test('that is empty denies', () => {
    const empty = new PolicySet('empty', schema, []);
    expect(empty.decide(callerWith('administrator'), 'ReadPlace', organization(), fresh)).toEqual({
      allowed: false,
      policies: [],
    });
  });

  test('names the policy that is wrong, and is not used', () => {
    expect(() => new PolicySet('a', schema, ['permit (principal, action, resource);'])).toThrow(/no @id/);
    expect(() => new PolicySet('b', schema, [everything, everything])).toThrow(/Two policies have the @id "all"/);
    expect(
      () => new PolicySet('c', schema, ['@id("x") permit (principal, action, resource) when { resource.nonsense };']),
    ).toThrow(/"x" is not valid/);
    expect(() => new PolicySet('d', schema, ['@id("x") permit (principal, action'])).toThrow(/not valid Cedar/);
    expect(
      () => new PolicySet('e', schema, ['@id("x") @step_up("soon") forbid (principal, action, resource);']),
    ).toThrow(/number of seconds/);
  });
});
