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
      v.description('Who asked for the release, and when; a second person must confirm before `expiresAt`'),
    ),
  ),
});

/** The operations on the brake. */
export const brakeOperations = {
  listBrakes: {
    summary: 'List pulled brakes',
    description: 'An empty list means that nothing is stopped.',
    tag,
    answer: { status: 200, description: 'All pulled brakes', schema: v.object({ items: v.array(BrakeView) }) },
  },
  pullBrake: {
    summary: 'Pull the brake',
    description:
      'Stops everything destructive or disruptive in the network, a site or a care unit within a second: new commands are refused, queued ones wait. Takes one person and no second factor. Pulling a pulled brake changes nothing, except that it cancels a pending release.',
    tag,
    body: BrakeRequest,
    answer: { status: 200, description: 'The pulled brake', schema: BrakeView },
  },
  releaseBrake: {
    summary: 'Release the brake',
    description:
      'Takes two people: the first call requests the release, a call by another person within an hour confirms it. Both require a multi-factor sign-in within the last 15 minutes.',
    tag,
    body: BrakeRequest,
    answer: {
      status: 200,
      description: '`released`, or still `pulled` and waiting for the second person',
      schema: v.object({ state: v.picklist(['pulled', 'released']), brake: BrakeView }),
    },
    problems: [404, 409],
  },
} as const;
