import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { AuditItem } from '../../../../shared/audit/record.ts';
import { ProblemError } from '../../../../shared/http/problem.ts';
import { Guard } from '../../../../shared/identity/guard.ts';
import { loadPolicies, PolicySet, policyFolder } from '../../../../shared/identity/policy-set.ts';
import { deviceResource, siteResource } from '../../../../shared/identity/resource.ts';
import { stepUpProblem } from '../../../../shared/identity/step-up.ts';
import { callerWith, freshMfa } from '../../../support/api.ts';

const policies = loadPolicies();
const device = deviceResource({
  id: 'd-1',
  platform: 'apple',
  class: 'tablet',
  ownership: 'organization',
  lifecycle: 'enrolled',
  siteId: 's-1',
});
const now = new Date();
/** A second factor at the time that the tests begin. */
const fresh = () => ({ ...freshMfa(), authTime: Math.floor(now.getTime() / 1000) });

const guarded = () => {
  const kept: AuditItem[] = [];
  const guard = new Guard(policies, async (item) => {
    kept.push(item);
  });
  return { guard, kept };
};

const refusal = async (run: () => Promise<unknown>): Promise<ProblemError> => {
  try {
    await run();
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
  throw new Error('was not refused');
};

describe('Guard', () => {
  test('permit: gives the beginning of the audit record, with the policies that decided', async () => {
    const { guard, kept } = guarded();
    const entry = await guard.permit(callerWith('administrator'), 'LockDevice', device, 'DEVICE#d-1', now);
    expect(entry).toEqual({
      actor: 'user:administrator-1',
      action: 'LockDevice',
      resource: 'device/d-1',
      siteId: 's-1',
      outcome: 'allowed',
      policyIds: ['administrator-everything-at-own-places'],
    });
    expect(kept).toEqual([]);
  });

  test('permit: a denial says that none permits, and is recorded', async () => {
    const { guard, kept } = guarded();
    const error = await refusal(() => guard.permit(callerWith('auditor'), 'LockDevice', device, 'DEVICE#d-1', now));
    expect(error.problem).toMatchObject({
      status: 403,
      type: '/problems/forbidden',
      detail: 'No policy permits LockDevice on device/d-1.',
      policyIds: [],
      reasons: [],
    });
    expect(kept).toHaveLength(1);
    expect(kept[0]).toMatchObject({
      pk: 'DEVICE#d-1',
      outcome: 'denied',
      actor: 'user:auditor-1',
      action: 'LockDevice',
    });
  });

  test('permit: a denial names the policy and its reason', async () => {
    const { guard } = guarded();
    const suspended = callerWith('administrator', { status: 'suspended' });
    const error = await refusal(() => guard.permit(suspended, 'LockDevice', device, 'DEVICE#d-1', now));
    expect(error.problem).toMatchObject({
      status: 403,
      policyIds: ['suspended'],
      reasons: ['This account is suspended.'],
    });
  });

  test('permit: asks to sign in again when that is all that is missing (RFC 9470)', async () => {
    const { guard, kept } = guarded();
    const error = await refusal(() =>
      guard.permit(callerWith('administrator'), 'WipeDevice', device, 'DEVICE#d-1', now),
    );
    expect(error.problem).toMatchObject({
      status: 401,
      type: '/problems/insufficient-user-authentication',
      maxAgeSeconds: 900,
    });
    expect(error.headers['www-authenticate']).toMatch(
      /^Bearer error="insufficient_user_authentication", error_description="[^"]+", acr_values="phr mfa", max_age="900"$/,
    );
    expect(kept).toHaveLength(1);
    await guard.permit(callerWith('administrator', fresh()), 'WipeDevice', device, 'DEVICE#d-1', now);
    const stale = callerWith('administrator', { ...fresh(), authTime: Math.floor(now.getTime() / 1000) - 901 });
    expect((await refusal(() => guard.permit(stale, 'WipeDevice', device, 'DEVICE#d-1', now))).problem.status).toBe(
      401,
    );
  });

  test('permit: does not ask for a fresh sign-in that would change nothing', async () => {
    const { guard } = guarded();
    const error = await refusal(() => guard.permit(callerWith('help-desk'), 'WipeDevice', device, 'DEVICE#d-1', now));
    expect(error.problem.status).toBe(403);
  });

  test('readable: decides as asking one by one would, also when a policy names a single device', () => {
    const schema = readFileSync(join(policyFolder, 'wardline.cedarschema'), 'utf8');
    const secret = '@id("secret") @reason("Hidden.") forbid (principal, action, resource == Wardline::Device::"d-7");';
    const everything = '@id("all") permit (principal, action, resource) when { resource in principal.places };';
    for (const set of [policies, new PolicySet('secret', schema, [everything, secret])]) {
      const guard = new Guard(set, () => Promise.reject(new Error('nothing is changed')));
      const caller = callerWith('auditor', { sites: ['s-1'] });
      const mayRead = guard.readable(caller, now);
      for (let number = 0; number < 20; number += 1) {
        const one = deviceResource({
          id: `d-${number}`,
          platform: 'linux',
          class: 'other',
          ownership: 'organization',
          lifecycle: 'enrolled',
          siteId: number % 2 === 0 ? 's-2' : 's-1',
        });
        expect([number, mayRead(one)]).toEqual([number, guard.decide(caller, 'ReadDevice', one, now).allowed]);
      }
    }
  });

  test('assertReadsSomewhere: tells apart an empty list and no permission', () => {
    const { guard } = guarded();
    expect(() => guard.assertReadsSomewhere(callerWith('auditor', { sites: ['s-1'] }), now)).not.toThrow();
    expect(() => guard.assertReadsSomewhere(callerWith('auditor', { sites: [] }), now)).toThrow(ProblemError);
    expect(() => guard.assertReadsSomewhere(callerWith('visitor'), now)).toThrow(ProblemError);
    expect(() => guard.assertMay(callerWith('visitor'), 'ReadPlace', siteResource('s-1'), now)).toThrow(ProblemError);
  });
});

test('a reason in any language makes a challenge that fits into a header', () => {
  fc.assert(
    fc.property(fc.oneof(fc.constant('Zurück melden:\r\nX-Evil: "1"\\'), fc.string({ unit: 'binary' })), (reason) => {
      const { headers, problem } = stepUpProblem(900, reason, ['p']);
      expect(headers['www-authenticate']).toMatch(
        /^Bearer error="insufficient_user_authentication", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]*", acr_values="phr mfa", max_age="900"$/,
      );
      expect(problem['detail']).toBe(reason);
    }),
  );
});
