import * as v from 'valibot';
import { DeviceClass, Platform } from '../devices/device.ts';
import { PageQuery, pageOf } from '../http/page.ts';
import { SiteId, UnitId } from '../places/place.ts';
import { Time } from '../time.ts';

const tag = 'Enrollment';

/** Most devices of one token. A list of more is an import. */
const mostUses = 10_000;

/** What a person asks of a new enrolment token. A limit that is left out does not limit. */
export const TokenRequest = v.strictObject({
  siteId: v.optional(v.pipe(SiteId, v.description('Site in which devices enroll'))),
  unitId: v.optional(v.pipe(UnitId, v.description('Care unit in which devices enroll; requires `siteId`'))),
  class: v.optional(v.picklist(Object.values(DeviceClass))),
  platform: v.optional(v.picklist(Object.values(Platform))),
  uses: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(mostUses, `must be at most ${mostUses}`),
      v.description('How many devices may enroll with it; default 1'),
    ),
  ),
  expiresAt: v.optional(v.pipe(Time, v.description('At most a year ahead; default in a week'))),
  allowUnknown: v.optional(
    v.pipe(v.boolean(), v.description('Whether to admit devices that are not pre-registered; default true')),
  ),
});
export type TokenRequest = v.InferOutput<typeof TokenRequest>;

/** Whether a token can still be used, in one word. */
export const TokenState = { Active: 'active', UsedUp: 'used-up', Expired: 'expired', Revoked: 'revoked' } as const;
export type TokenState = (typeof TokenState)[keyof typeof TokenState];

/** A token as the API shows it: never its secret. */
export const TokenView = v.object({
  id: v.string(),
  siteId: v.optional(v.string()),
  unitId: v.optional(v.string()),
  class: v.optional(v.picklist(Object.values(DeviceClass))),
  platform: v.optional(v.picklist(Object.values(Platform))),
  uses: v.number(),
  used: v.pipe(v.number(), v.description('How many devices have enrolled with it')),
  allowUnknown: v.boolean(),
  expiresAt: v.pipe(v.string(), v.isoTimestamp()),
  createdAt: v.pipe(v.string(), v.isoTimestamp()),
  createdBy: v.string(),
  revokedAt: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  state: v.picklist(Object.values(TokenState)),
});
export type TokenView = v.InferOutput<typeof TokenView>;

/** A token as its creator sees it, this once. */
export const NewToken = v.object({
  ...TokenView.entries,
  token: v.pipe(v.string(), v.description('The secret. Shown only in this response')),
});

/** The operations on enrolment tokens. */
export const enrollmentOperations = {
  listEnrollmentTokens: {
    summary: 'List enrollment tokens',
    description:
      'Newest first. Only tokens that the caller may read; a page may hold fewer than `limit` and still have a `next`.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of tokens', schema: pageOf(TokenView) },
  },
  createEnrollmentToken: {
    summary: 'Create an enrollment token',
    description:
      'The secret in `token` is the password for EST `simpleenroll` (RFC 7030). It is returned once and stored only as a hash.',
    tag,
    body: TokenRequest,
    answer: { status: 201, description: 'The token with its secret', schema: NewToken, location: true },
  },
  getEnrollmentToken: {
    summary: 'Get an enrollment token',
    tag,
    answer: { status: 200, description: 'The token without its secret', schema: TokenView },
  },
  revokeEnrollmentToken: {
    summary: 'Revoke an enrollment token',
    description: 'No more devices can enroll with it; those already enrolled stay enrolled. Idempotent.',
    tag,
    answer: { status: 204, description: 'Revoked' },
  },
} as const;
