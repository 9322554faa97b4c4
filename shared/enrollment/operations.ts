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
  siteId: v.optional(v.pipe(SiteId, v.description('Devices enrol into this site'))),
  unitId: v.optional(v.pipe(UnitId, v.description('Devices enrol into this unit; needs `siteId`'))),
  class: v.optional(v.picklist(Object.values(DeviceClass))),
  platform: v.optional(v.picklist(Object.values(Platform))),
  uses: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(mostUses, `must be at most ${mostUses}`),
      v.description('How many devices may enrol with it; 1 when left out'),
    ),
  ),
  expiresAt: v.optional(v.pipe(Time, v.description('At most a year ahead; in a week when left out'))),
  allowUnknown: v.optional(
    v.pipe(v.boolean(), v.description('Whether it admits devices that are not pre-registered; true when left out')),
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
  used: v.pipe(v.number(), v.description('How many devices enrolled with it')),
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
  token: v.pipe(v.string(), v.description('The secret. It is shown here and never again')),
});

/** The operations on enrolment tokens. */
export const enrollmentOperations = {
  listEnrollmentTokens: {
    summary: 'List enrolment tokens, newest first',
    description: 'Only those that the caller may read; a page can hold fewer than `limit` and still have a next one.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of tokens', schema: pageOf(TokenView) },
  },
  createEnrollmentToken: {
    summary: 'Create an enrolment token',
    description:
      'The secret in `token` is the password of EST `simpleenroll` (RFC 7030). It is shown once and stored only as a hash.',
    tag,
    body: TokenRequest,
    answer: { status: 201, description: 'The token with its secret', schema: NewToken, location: true },
  },
  getEnrollmentToken: {
    summary: 'Read an enrolment token',
    tag,
    answer: { status: 200, description: 'The token without its secret', schema: TokenView },
  },
  revokeEnrollmentToken: {
    summary: 'Withdraw an enrolment token',
    description:
      'No device enrols with it any more; devices that did stay enrolled. Withdrawing twice changes nothing.',
    tag,
    answer: { status: 204, description: 'Withdrawn' },
  },
} as const;
