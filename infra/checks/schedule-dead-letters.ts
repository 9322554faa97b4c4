import type { CfnResource } from 'aws-cdk-lib';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import { member, resolved } from './resolved.ts';

/** A schedule keeps what it could not deliver. */
export function scheduleDeadLetters(resource: CfnResource): NagRuleResult {
  if (!(resource instanceof CfnSchedule)) return NagRuleCompliance.NOT_APPLICABLE;
  const arn = member(member(resolved(resource, resource.target), 'deadLetterConfig'), 'arn');
  return arn === undefined ? NagRuleCompliance.NON_COMPLIANT : NagRuleCompliance.COMPLIANT;
}
