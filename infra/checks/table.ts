import type { CfnResource } from 'aws-cdk-lib';
import { CfnGlobalTable, CfnTable } from 'aws-cdk-lib/aws-dynamodb';
import { NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import { listOf, member, resolved } from './resolved.ts';

/** Point-in-time recovery in every region of a table. */
export function tableRecovery(resource: CfnResource): NagRuleResult {
  return everyReplica(resource, (replica) => {
    return member(member(replica, 'pointInTimeRecoverySpecification'), 'pointInTimeRecoveryEnabled') === true;
  });
}

/** Deletion protection in every region of a table. */
export function tableDeletionProtection(resource: CfnResource): NagRuleResult {
  return everyReplica(resource, (replica) => member(replica, 'deletionProtectionEnabled') === true);
}

/** A customer-managed key in every region of a table. */
export function tableCustomerKey(resource: CfnResource): NagRuleResult {
  return everyReplica(resource, (replica) => {
    return member(member(replica, 'sseSpecification'), 'kmsMasterKeyId') !== undefined;
  });
}

/** A single-region table has the same properties on itself that a global table has on each of its replicas. */
function everyReplica(resource: CfnResource, holds: (replica: unknown) => boolean): NagRuleResult {
  const replicas =
    resource instanceof CfnGlobalTable
      ? listOf(resolved(resource, resource.replicas))
      : resource instanceof CfnTable
        ? [singleRegion(resource)]
        : undefined;
  if (replicas === undefined) return NagRuleCompliance.NOT_APPLICABLE;
  return replicas.length > 0 && replicas.every(holds) ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
}

function singleRegion(table: CfnTable): unknown {
  return {
    pointInTimeRecoverySpecification: resolved(table, table.pointInTimeRecoverySpecification),
    deletionProtectionEnabled: resolved(table, table.deletionProtectionEnabled),
    sseSpecification: resolved(table, table.sseSpecification),
  };
}
