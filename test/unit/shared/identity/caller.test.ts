import fc from 'fast-check';
import { callerOf } from '../../../../shared/identity/access-token.ts';
import { fromContext, toContext } from '../../../../shared/identity/caller.ts';
import { authenticationOf } from '../../../../shared/identity/step-up.ts';
import { callerWith } from '../../../support/api.ts';

describe('The authorizer context', () => {
  test('carries a caller through API Gateway, which makes every value a string', () => {
    const text = fc.string({ minLength: 1 });
    const caller = fc.record(
      {
        sub: text,
        roles: fc.array(fc.string()),
        sites: fc.array(fc.string()),
        status: fc.string(),
        amr: fc.array(fc.string()),
        acr: text,
        authTime: fc.nat(),
      },
      { requiredKeys: ['sub', 'roles', 'sites', 'status', 'amr'] },
    );
    fc.assert(
      fc.property(caller, (given) => {
        const stringified = Object.fromEntries(
          Object.entries(toContext(given)).map(([name, value]) => [name, String(value)]),
        );
        expect(fromContext(stringified)).toEqual(given);
      }),
    );
  });

  test('that is missing or of another form names nobody', () => {
    for (const context of [
      undefined,
      null,
      {},
      { sub: '' },
      { principalId: 'x' },
      { ...toContext(callerWith('auditor')), roles: 'auditor' },
    ]) {
      expect(fromContext(context)).toBeUndefined();
    }
  });
});

describe('callerOf', () => {
  const rules = { issuers: ['https://a'], audience: 'wardline', rolesClaim: 'roles', sitesClaim: 'sites' };

  test('finds claims by exact name first, then by path', () => {
    const claims = {
      iss: 'https://a',
      sub: 'x',
      'https://h.org/roles': ['administrator'],
      realm: { access: { sites: ['s-1'] } },
    };
    const caller = callerOf(claims, { ...rules, rolesClaim: 'https://h.org/roles', sitesClaim: 'realm.access.sites' });
    expect(caller).toMatchObject({ roles: ['administrator'], sites: ['s-1'], status: 'active' });
  });

  test('takes nothing from claims of the wrong form', () => {
    const caller = callerOf(
      { sub: 'x', roles: { administrator: true }, sites: 7, amr: [1, 'pwd'], auth_time: '5' },
      rules,
    );
    expect(caller).toEqual({ sub: 'x', roles: [], sites: [], status: 'active', amr: ['pwd'] });
    expect(callerOf({ sub: 'x', roles: 'auditor' }, { ...rules, rolesClaim: 'constructor.name' }).roles).toEqual([]);
  });

  test('keeps apart users of several issuers', () => {
    const several = { ...rules, issuers: ['https://a', 'https://b'] };
    expect(callerOf({ iss: 'https://b', sub: 'x' }, several).sub).toBe('https://b#x');
  });
});

describe('authenticationOf', () => {
  const now = new Date(1_800_000_000_000);
  const at = (seconds: number) => 1_800_000_000 - seconds;
  const ofCaller = (changes: object) => authenticationOf(callerWith('administrator', changes), now);

  test('knows a second factor by class or by methods', () => {
    expect(ofCaller({ acr: 'phr', authTime: at(10) })).toEqual({ mfa: true, signInAgeSeconds: 10 });
    expect(ofCaller({ amr: ['pwd', 'otp'] }).mfa).toBe(true);
    expect(ofCaller({ amr: ['otp'] }).mfa).toBe(false);
    expect(ofCaller({ amr: ['hwk'] }).mfa).toBe(true);
    expect(ofCaller({ acr: '1', amr: ['pwd'] }).mfa).toBe(false);
  });

  test('counts what is not said, or lies in the future, as long ago', () => {
    expect(ofCaller({}).signInAgeSeconds).toBeGreaterThan(1_000_000_000);
    expect(ofCaller({ authTime: at(-3600) }).signInAgeSeconds).toBeGreaterThan(1_000_000_000);
    expect(ofCaller({ authTime: at(-20) }).signInAgeSeconds).toBe(0);
  });
});
