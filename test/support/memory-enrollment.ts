import type { Device } from '../../shared/devices/device.ts';
import type { CertificateRecord } from '../../shared/enrollment/decide.ts';
import type { EnrollmentChange, RefusedEnrollment } from '../../shared/enrollment/enroll.ts';
import type { ThingRegistrar } from '../../shared/enrollment/registrar.ts';
import type { RenewalChange, RenewalStore } from '../../shared/enrollment/renew.ts';
import { type EnrollmentToken, newToken, type TokenLimits, tokenHash } from '../../shared/enrollment/token.ts';

/** Enrolment's storage in memory, with the conditions of the real one, for tests of the rules around it. */
export class MemoryEnrollment implements RenewalStore {
  readonly tokens = new Map<string, EnrollmentToken>();
  readonly devices = new Map<string, Device>();
  readonly certificates = new Map<string, CertificateRecord>();
  readonly refusals: RefusedEnrollment[] = [];

  /** Stores a new token and returns its secret. */
  addToken(limits: Partial<TokenLimits>, now: number): string {
    const { token, secret } = newToken(limits, 'user:test', now);
    this.tokens.set(tokenHash(secret), token);
    return secret;
  }

  async token(hash: string) {
    return this.tokens.get(hash);
  }

  async device(id: string) {
    return this.devices.get(id);
  }

  async certificate(fingerprint: string) {
    return this.certificates.get(fingerprint);
  }

  async enroll(change: EnrollmentChange) {
    if (this.devices.get(change.device.id) !== change.before) return false;
    const token = change.token === undefined ? undefined : this.tokens.get(change.token.hash);
    if (change.token !== undefined) {
      if (token === undefined || token.used >= token.uses) return false;
      this.tokens.set(change.token.hash, { ...token, used: token.used + 1 });
    }
    this.devices.set(change.device.id, change.device);
    this.certificates.set(change.certificate.fingerprint, change.certificate);
    return true;
  }

  async renew({ device, certificate }: RenewalChange) {
    if (this.devices.get(device.id) !== device) return false;
    this.devices.set(device.id, { ...device, nextCertificate: certificate.fingerprint });
    this.certificates.set(certificate.fingerprint, certificate);
    return true;
  }

  async recordRefusal(refusal: RefusedEnrollment) {
    this.refusals.push(refusal);
  }
}

/** AWS IoT Core in memory: which certificates exist, and in what state. */
export class MemoryRegistrar implements ThingRegistrar {
  readonly registered: { readonly id: string; readonly pem: string }[] = [];
  readonly states = new Map<string, 'retired' | 'revoked'>();
  /** Runs before each registration; throws to stand for a crash. */
  before: () => void | Promise<void> = () => undefined;

  async register(id: string, pem: string) {
    await this.before();
    this.registered.push({ id, pem });
  }

  async retire(fingerprint: string) {
    this.states.set(fingerprint, 'retired');
  }

  async revoke(fingerprint: string) {
    this.states.set(fingerprint, 'revoked');
  }
}
