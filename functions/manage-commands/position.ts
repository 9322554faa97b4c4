import * as v from 'valibot';

/** Where a list of commands goes on, inside a cursor. */
export const CommandPositionSchema = v.pipe(
  v.strictObject({
    list: v.picklist(['open', 'closed']),
    after: v.optional(v.pipe(v.string(), v.maxLength(64))),
  }),
  v.transform(({ list, after }) => (after === undefined ? { list } : { list, after })),
);
