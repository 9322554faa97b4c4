import { createHash, randomBytes } from 'node:crypto';
import { ulid } from 'ulid';
import { timestamp } from '../clock.ts';
import type { DeviceClass, Platform } from '../devices/device.ts';

/** What an enrolment token allows. A limit that is absent does not limit. */
export interface TokenLimits {
  /** Devices enrol into this site; one that is pre-registered for another is refused. */
  readonly siteId?: string;
  readonly unitId?: string;
  readonly class?: DeviceClass;
  readonly platform?: Platform;
  /** How many devices may enrol with it, at least 1. */
  readonly uses: number;
  /** RFC 3339. */
  readonly expiresAt: string;
  /** Whether it also admits devices that nobody pre-registered. */
  readonly allowUnknown: boolean;
}

/** An enrolment token as stored. The secret itself is nowhere: the item's key is its SHA-256. */
export interface EnrollmentToken extends TokenLimits {
  /** `t-<ulid>`: names the token in the API and in audit records, and is no secret. */
  readonly id: string;
  /** How many devices enrolled with it. */
  readonly used: number;
  readonly createdAt: string;
  /** `user:<sub>` */
  readonly createdBy: string;
  /** Set when a person withdrew it (RFC 3339). */
  readonly revokedAt?: string;
}

/** Limits of a token for which nothing else was asked: one device within a week, pre-registered or not. */
export function defaultLimits(now: number): Pick<TokenLimits, 'uses' | 'expiresAt' | 'allowUnknown'> {
  return { uses: 1, expiresAt: timestamp(now + 7 * 24 * 60 * 60 * 1000), allowUnknown: true };
}

/**
 * A new token and its secret. The secret (`wle_` and 256 random bits) is shown once, to who asked for it; keep only
 * `tokenHash(secret)`.
 *
 * @param createdBy `user:<sub>`
 * @param now milliseconds since the epoch
 */
export function newToken(
  limits: Partial<TokenLimits>,
  createdBy: string,
  now: number,
): { token: EnrollmentToken; secret: string } {
  const token = {
    ...defaultLimits(now),
    ...limits,
    // In the one form in which times compare as text: the condition on use compares them so.
    ...(limits.expiresAt === undefined ? {} : { expiresAt: timestamp(Date.parse(limits.expiresAt)) }),
    id: `t-${ulid(now).toLowerCase()}`,
    used: 0,
    createdAt: timestamp(now),
    createdBy,
  };
  return { token, secret: `wle_${randomBytes(32).toString('base64url')}` };
}

/**
 * SHA-256 of a token's secret, lower-case hex: the key it is stored under. A plain hash is enough because the secret
 * has 256 random bits; there is nothing to guess from it.
 */
export function tokenHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Whether a text has the form of a token's secret. What has not is refused without asking the table. */
export function looksLikeToken(text: string): boolean {
  return /^wle_[A-Za-z0-9_-]{43}$/.test(text);
}
