import * as v from 'valibot';
import { AuditOutcome } from './record.ts';

/** An audit record as tables hold it and the API shows it. */
export const AuditRecordSchema = v.object({
  id: v.string(),
  at: v.pipe(v.string(), v.isoTimestamp()),
  actor: v.pipe(v.string(), v.description('Who acted: `user:<sub>`, `device:<id>` or `system:<function>`')),
  action: v.string(),
  resource: v.string(),
  outcome: v.picklist(Object.values(AuditOutcome)),
  siteId: v.optional(v.string()),
  reason: v.optional(v.string()),
  policyIds: v.optional(v.array(v.string())),
  before: v.optional(v.record(v.string(), v.unknown())),
  after: v.optional(v.record(v.string(), v.unknown())),
});
