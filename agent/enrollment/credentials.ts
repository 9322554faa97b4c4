import type { HttpsIdentity } from '../channel/request.ts';
import { certificateFacts, renewalTime } from './certificate.ts';
import { simpleEnroll, simpleReenroll } from './est.ts';
import { certificateRequest, newPrivateKey } from './request.ts';

/** The identity of a device as it is kept. */
export interface StoredIdentity {
  readonly current: HttpsIdentity;
  /** Issued by a renewal and not yet accepted by the server; `current` stays valid until it is. */
  readonly next?: HttpsIdentity;
}

/** Where a device keeps its identity. `save` has done so when it returns. */
export interface IdentityStore {
  load(): StoredIdentity | undefined;
  save(identity: StoredIdentity): void;
  /**
   * The key of an enrolment that was asked for and not answered yet, PKCS#8 PEM. With the same key and token the server
   * gives the certificate that it issued, whose answer was lost; with another key the token would be used up.
   */
  readonly enrolmentKey?: { load(): string | undefined; save(privateKeyPem: string): void };
}

/** Where and how a device enrols and renews. */
export interface EnrollmentOptions {
  readonly store: IdentityStore;
  readonly serial: string;
  /** PEM of the authority that the servers' certificates end in; the public ones that Node.js knows when left out. */
  readonly ca?: string;
}

/** A device's certificate and key: got by enrolment, renewed before they expire, never half replaced. */
export class Credentials {
  readonly #options: EnrollmentOptions;
  #identity: StoredIdentity;
  #nextTried = false;

  private constructor(options: EnrollmentOptions, identity: StoredIdentity) {
    this.#options = options;
    this.#identity = identity;
  }

  /** What an earlier enrolment left, or undefined. */
  static load(options: EnrollmentOptions): Credentials | undefined {
    const identity = options.store.load();
    return identity === undefined ? undefined : new Credentials(options, identity);
  }

  /**
   * Makes a key, asks for a certificate with the token, and keeps both; asks again with the key of an attempt before.
   *
   * @throws EstError when refused
   */
  static async enrol(
    options: EnrollmentOptions & { url: string; token: string; signal?: AbortSignal },
  ): Promise<Credentials> {
    const { enrolmentKey } = options.store;
    const key = enrolmentKey?.load() ?? (await newPrivateKey());
    enrolmentKey?.save(key);
    const { privateKeyPem, request } = await certificateRequest({ serial: options.serial }, key);
    const certificatePem = await simpleEnroll({ ...options, request });
    const identity: StoredIdentity = { current: { certificatePem, privateKeyPem } };
    certificateFacts(certificatePem);
    options.store.save(identity);
    return new Credentials(options, identity);
  }

  get deviceId(): string {
    return certificateFacts(this.#identity.current.certificatePem).deviceId;
  }

  /**
   * The identity to connect with next: a renewed one first; when that one was tried and not accepted (the machine
   * stopped half-way through a renewal, say), the one before it.
   */
  take(): HttpsIdentity {
    const { current, next } = this.#identity;
    if (next === undefined || this.#nextTried) return current;
    this.#nextTried = true;
    return next;
  }

  /** The server accepted a check-in under this identity, so the other one, if there is any, has done its duty. */
  accepted(identity: HttpsIdentity): void {
    const { next } = this.#identity;
    if (next === undefined || (identity !== next && !this.#nextTried)) return;
    this.#identity = { current: identity };
    this.#nextTried = false;
    this.#options.store.save(this.#identity);
  }

  /** When the newest certificate is due for renewal, milliseconds since the epoch. */
  get renewalTime(): number {
    const newest = this.#identity.next ?? this.#identity.current;
    return renewalTime(certificateFacts(newest.certificatePem));
  }

  /** Asks the device host for a new certificate for a new key, authenticated with the present one. */
  async renew(url: string, signal?: AbortSignal): Promise<void> {
    const { current } = this.#identity;
    const { privateKeyPem, request } = await certificateRequest({
      serial: this.#options.serial,
      commonName: this.deviceId,
    });
    const certificatePem = await simpleReenroll({
      url,
      request,
      identity: current,
      ...(this.#options.ca === undefined ? {} : { ca: this.#options.ca }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (certificateFacts(certificatePem).deviceId !== this.deviceId) {
      throw new Error('the renewed certificate is for another device');
    }
    this.#identity = { current, next: { certificatePem, privateKeyPem } };
    this.#nextTried = false;
    this.#options.store.save(this.#identity);
  }
}
