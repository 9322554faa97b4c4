import * as v from 'valibot';

/** What `rollout watch` reads of the answers of the API; anything more in them is left alone. */
const Counts = {
  states: v.record(v.string(), v.number()),
  waiting: v.record(v.string(), v.number()),
};

/** `GET /rollouts/{rolloutId}`. */
export const RolloutAnswer = v.object({
  id: v.string(),
  state: v.string(),
  since: v.string(),
  words: v.string(),
  definition: v.object({
    name: v.string(),
    artifact: v.object({ kind: v.string(), name: v.string(), version: v.string() }),
  }),
  waves: v.array(
    v.object({
      name: v.string(),
      devices: v.number(),
      state: v.string(),
      words: v.string(),
      ...Counts,
      gate: v.optional(
        v.object({
          seen: v.object({ success: v.number(), failure: v.number() }),
          missing: v.object({ comeThrough: v.number(), report: v.number() }),
          failuresToStop: v.number(),
        }),
      ),
    }),
  ),
  counts: v.object(Counts),
  back: v.optional(v.object(Counts)),
});
export type RolloutAnswer = v.InferOutput<typeof RolloutAnswer>;

/** `GET /rollouts/{rolloutId}/devices`. */
export const DevicesAnswer = v.object({
  items: v.array(
    v.object({
      deviceId: v.string(),
      siteId: v.string(),
      unitId: v.string(),
      reason: v.optional(v.string()),
      words: v.string(),
      until: v.optional(v.string()),
    }),
  ),
});
export type DevicesAnswer = v.InferOutput<typeof DevicesAnswer>;

/** `GET /rollouts/{rolloutId}/timeline`. */
export const TimelineAnswer = v.object({ items: v.array(v.object({ at: v.string(), words: v.string() })) });
export type TimelineAnswer = v.InferOutput<typeof TimelineAnswer>;
