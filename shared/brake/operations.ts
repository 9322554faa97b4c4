import * as v from 'valibot';
import { BrakeRequest, BrakeScope } from './brake.ts';

const tag = 'Brake';
const time = v.pipe(v.string(), v.isoTimestamp());

/** A brake as the API shows it. */
export const BrakeView = v.object({
  scope: v.picklist(Object.values(BrakeScope)),
  siteId: v.optional(v.string()),
  unitId: v.optional(v.string()),
  reason: v.string(),
  pulledBy: v.string(),
  pulledAt: time,
  release: v.optional(
    v.pipe(
      v.object({ by: v.string(), at: time, expiresAt: time, reason: v.string() }),
      v.description('The first of the two people who release it; the second must agree before `expiresAt`'),
    ),
  ),
});

/** The operations on the brake. */
export const brakeOperations = {
  listBrakes: {
    summary: 'Read which brakes are pulled',
    description: 'An empty list: nothing is stopped.',
    tag,
    answer: { status: 200, description: 'All brakes that are pulled', schema: v.object({ items: v.array(BrakeView) }) },
  },
  pullBrake: {
    summary: 'Pull the brake',
    description:
      'Stops everything destructive or disruptive for the network, a site or a unit within a second: new commands are refused, queued ones wait. One person is enough, without a second factor. Pulling it again changes nothing, but takes back a release that somebody asked for.',
    tag,
    body: BrakeRequest,
    answer: { status: 200, description: 'The brake is pulled', schema: BrakeView },
  },
  releaseBrake: {
    summary: 'Release the brake, as one of two people',
    description:
      'The first call asks for the release; the call of another person within the hour releases it. Both need a sign-in with a second factor within the last 15 minutes.',
    tag,
    body: BrakeRequest,
    answer: {
      status: 200,
      description: '`state` says whether it is released or waits for the second person',
      schema: v.object({ state: v.picklist(['pulled', 'released']), brake: BrakeView }),
    },
    problems: [404, 409],
  },
} as const;
