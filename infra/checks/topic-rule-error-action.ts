import type { CfnResource } from 'aws-cdk-lib';
import { CfnTopicRule } from 'aws-cdk-lib/aws-iot';
import { NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import { member, resolved } from './resolved.ts';

/** A topic rule keeps what its actions could not deliver. */
export function topicRuleErrorAction(resource: CfnResource): NagRuleResult {
  if (!(resource instanceof CfnTopicRule)) return NagRuleCompliance.NOT_APPLICABLE;
  const errorAction = member(resolved(resource, resource.topicRulePayload), 'errorAction');
  return errorAction === undefined ? NagRuleCompliance.NON_COMPLIANT : NagRuleCompliance.COMPLIANT;
}
