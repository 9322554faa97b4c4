import * as v from 'valibot';
import { AuditOutcome } from '../../shared/audit/record.ts';
import { readTrail } from '../../shared/audit/store.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { CommandType } from '../../shared/commands/command.ts';
import { Gate, type GateDecision, GateEffect, type RuleId } from '../../shared/commands/gates/gate.ts';
import { devicePartition } from '../../shared/devices/keys.ts';
import { shadowRecordsOfDevice } from '../../shared/interlock/operations.ts';
import type { Decided } from '../../shared/limits/shadow.ts';

/** A request as its audit record tells of it. */
export interface DecidedRequest extends Decided {
  /** Whether a gate refused it, so that there is no command of it. */
  readonly refused: boolean;
}

const Rule = v.custom<RuleId>((value) => typeof value === 'string' && /^R\d+$/.test(value));
const Decision = v.object({
  gate: v.picklist(Object.values(Gate)),
  at: v.pipe(v.string(), v.isoTimestamp()),
  effect: v.picklist(Object.values(GateEffect)),
  ruleId: Rule,
  reason: v.string(),
  inputs: v.array(
    v.object({
      signal: v.string(),
      value: v.union([v.string(), v.number(), v.boolean()]),
      source: v.string(),
      at: v.optional(v.string()),
      ageSeconds: v.optional(v.number()),
    }),
  ),
  until: v.optional(v.string()),
});
/** What the writer and the revocation say in their records of what the gates decided. */
const Told = v.object({
  type: v.optional(v.picklist([...Object.values(CommandType), 'revoke'])),
  commandId: v.optional(v.string()),
  decisions: v.array(Decision),
});

/** Records of one page. */
const pageSize = 100;

/** What was asked for a device since then and decided by gates, out of its audit trail, the newest first. */
export async function decidedSince(
  table: Table,
  deviceId: string,
  since: string,
): Promise<{ readonly requests: readonly DecidedRequest[]; readonly cut: boolean }> {
  const requests: DecidedRequest[] = [];
  let after: string | undefined;
  for (let read = 0; read < shadowRecordsOfDevice; read += pageSize) {
    const page = await readTrail(table, devicePartition(deviceId), pageSize, after);
    const recent = page.items.filter(({ at }) => at >= since);
    for (const { action, outcome, after: told } of recent) {
      const parsed = v.safeParse(Told, told);
      if (!parsed.success) continue;
      // A revocation that was done says so by its action only.
      const type = parsed.output.type ?? (action === 'RevokeDevice' ? 'revoke' : undefined);
      if (type === undefined) continue;
      const { commandId } = parsed.output;
      const decisions = parsed.output.decisions.map(decisionOf);
      const refused = outcome === AuditOutcome.Refused;
      requests.push({ deviceId, ...(commandId === undefined ? {} : { commandId }), type, decisions, refused });
    }
    if (page.after === undefined || recent.length < page.items.length) return { requests, cut: false };
    after = page.after;
  }
  return { requests, cut: true };
}

/** Without the members that the record does not have. */
function decisionOf({ inputs, until, ...rest }: v.InferOutput<typeof Decision>): GateDecision {
  return {
    ...rest,
    inputs: inputs.map(({ at, ageSeconds, ...input }) => ({
      ...input,
      ...(at === undefined ? {} : { at }),
      ...(ageSeconds === undefined ? {} : { ageSeconds }),
    })),
    ...(until === undefined ? {} : { until }),
  };
}
