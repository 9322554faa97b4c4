import fc from 'fast-check';
import { type Device, deviceIdOf } from '../../../../shared/devices/device.ts';
import {
  type CertificateRecord,
  decideEnrollment,
  type EnrollmentRequest,
  repeatWindow,
} from '../../../../shared/enrollment/decide.ts';
import { type EnrollmentToken, newToken, type TokenLimits } from '../../../../shared/enrollment/token.ts';

const now = Date.parse('2030-01-02T03:04:05Z');
const iso = (offset: number) => new Date(now + offset).toISOString();

const token = (limits: Partial<EnrollmentToken> = {}): EnrollmentToken => ({
  ...newToken({}, 'user:test', now).token,
  id: 't-1',
  ...limits,
});
const device = (changes: Partial<Device> = {}): Device => ({
  id: deviceIdOf('A1'),
  serial: 'A1',
  platform: 'iomt',
  class: 'infusion-pump',
  ownership: 'organization',
  lifecycle: 'expected',
  createdAt: iso(-1000),
  desiredVersion: 0,
  queueSeq: 0,
  version: 1,
  ...changes,
});
const pinned = (changes: Partial<CertificateRecord> = {}): CertificateRecord => ({
  fingerprint: 'f1',
  deviceId: deviceIdOf('A1'),
  publicKeyHash: 'key',
  tokenId: 't-1',
  issuedAt: iso(-60_000),
  expiresAt: iso(1e9),
  pem: 'pem',
  ...changes,
});
const est: EnrollmentRequest = { method: 'est', tokenPresented: true, publicKeyHash: 'key' };
const claim: EnrollmentRequest = { method: 'claim', tokenPresented: false, publicKeyHash: 'key' };
const enrolled = device({ lifecycle: 'enrolled', certificate: 'f1' });

const refused = (reason: string) => ({ outcome: 'refuse', reason });

describe('decideEnrollment', () => {
  test.each<[string, EnrollmentToken | undefined, Device | undefined, EnrollmentRequest, string]>([
    ['no such token', undefined, device(), est, 'token-unknown'],
    ['a foreign token at the claim door', undefined, device(), { ...claim, tokenPresented: true }, 'token-unknown'],
    ['a withdrawn token', token({ revokedAt: iso(-1) }), device(), est, 'token-revoked'],
    ['an expired token', token({ expiresAt: iso(0) }), device(), est, 'token-expired'],
    ['a used token', token({ uses: 2, used: 2 }), device(), est, 'token-used-up'],
    ['another site', token({ siteId: 's-1' }), device({ siteId: 's-2' }), est, 'wrong-site'],
    ['another unit', token({ unitId: 'u-1' }), device({ unitId: 'u-2' }), est, 'wrong-unit'],
    ['another class', token({ class: 'tablet' }), device(), est, 'wrong-class'],
    ['another platform', token({ platform: 'linux' }), device(), est, 'wrong-platform'],
    ['a stranger with a narrow token', token({ allowUnknown: false }), undefined, est, 'not-pre-registered'],
    ['a stranger at the claim door', undefined, undefined, claim, 'not-pre-registered'],
    ['a revoked device', token(), device({ lifecycle: 'revoked' }), est, 'device-revoked'],
    ['a revoked device at the claim door', undefined, device({ lifecycle: 'revoked' }), claim, 'device-revoked'],
    ['an enrolled device', token(), enrolled, { ...est, publicKeyHash: 'other' }, 'already-enrolled'],
    [
      'an enrolled device, token used by it',
      token({ used: 1 }),
      enrolled,
      { ...est, publicKeyHash: 'other' },
      'token-used-up',
    ],
  ])('refuses %s', (_name, aToken, aDevice, request, reason) => {
    expect(decideEnrollment(aToken, aDevice, pinned(), request, now)).toEqual(refused(reason));
  });

  test.each<[string, EnrollmentToken | undefined, Device | undefined, EnrollmentRequest]>([
    ['a stranger, with a token that admits them', token(), undefined, est],
    ['a stranger at the claim door, with such a token', token(), undefined, { ...claim, tokenPresented: true }],
    ['a pre-registered device', token({ allowUnknown: false }), device(), est],
    ['a pre-registered device at the claim door, without token', undefined, device(), claim],
    ['a device whose place the token fills in', token({ siteId: 's-1', unitId: 'u-1' }), device(), est],
    [
      'a device that matches every limit',
      token({ siteId: 's', class: 'infusion-pump', platform: 'iomt' }),
      device({ siteId: 's' }),
      est,
    ],
  ])('enrols %s', (_name, aToken, aDevice, request) => {
    expect(decideEnrollment(aToken, aDevice, undefined, request, now)).toEqual({ outcome: 'enroll' });
  });

  describe('the same device asks again', () => {
    const used = token({ used: 1 });

    test('gets the same certificate, although its token is used up and may have expired by now', () => {
      const repeat = { outcome: 'repeat', certificate: pinned() };
      expect(decideEnrollment(used, enrolled, pinned(), est, now)).toEqual(repeat);
      expect(decideEnrollment({ ...used, expiresAt: iso(-1) }, enrolled, pinned(), est, now)).toEqual(repeat);
    });

    test('not with another key, with another token, after a day, or with a withdrawn token', () => {
      const decide = (aToken: EnrollmentToken, record: CertificateRecord) =>
        decideEnrollment(aToken, enrolled, record, est, now).outcome;
      expect(decide(used, pinned({ publicKeyHash: 'other' }))).toBe('refuse');
      expect(decide(token({ id: 't-2' }), pinned())).toBe('refuse');
      expect(decide(used, pinned({ issuedAt: iso(-repeatWindow) }))).toBe('refuse');
      expect(decide({ ...used, revokedAt: iso(0) }, pinned())).toBe('refuse');
    });
  });

  test('whatever the state: nobody enrols over an enrolled or revoked device, nor with a token that is spent', () => {
    const limits = fc.record({
      uses: fc.integer({ min: 1, max: 3 }),
      used: fc.integer({ min: 0, max: 3 }),
      expires: fc.integer({ min: -2, max: 2 }),
      allowUnknown: fc.boolean(),
      siteId: fc.constantFrom(undefined, 's-1', 's-2'),
      revoked: fc.boolean(),
    });
    const lifecycle = fc.constantFrom(undefined, 'expected', 'enrolled', 'revoked');
    const request = fc.constantFrom(est, claim, { ...claim, tokenPresented: true });
    fc.assert(
      fc.property(fc.option(limits, { nil: undefined }), lifecycle, request, (limit, state, asked) => {
        const { revoked = false, expires = 0, siteId, ...rest } = limit ?? {};
        const extra: Partial<TokenLimits> = siteId === undefined ? {} : { siteId };
        const aToken =
          limit && token({ ...rest, ...extra, expiresAt: iso(expires), ...(revoked ? { revokedAt: iso(-5) } : {}) });
        const aDevice =
          state === undefined ? undefined : device({ lifecycle: state as Device['lifecycle'], siteId: 's-1' });
        const { outcome } = decideEnrollment(aToken, aDevice, undefined, asked, now);
        if (outcome !== 'enroll') return;
        expect(state).not.toBe('enrolled');
        expect(state).not.toBe('revoked');
        if (aToken === undefined) {
          expect([asked, state]).toEqual([claim, 'expected']);
          return;
        }
        expect(aToken.used).toBeLessThan(aToken.uses);
        expect(expires).toBeGreaterThan(0);
        expect(revoked).toBe(false);
        if (state === undefined) expect(aToken.allowUnknown).toBe(true);
        else expect(aToken.siteId).not.toBe('s-2');
      }),
    );
  });
});
