import type { CfnResource } from 'aws-cdk-lib';
import { NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import { allowedByIotPolicy } from './iot-policy-statements.ts';

const thingName = /\$\{iot:Connection\.Thing\.ThingName\}/;

/** Every resource that an AWS IoT policy allows holds the name of the connecting thing. */
export function iotPolicyThingVariable(resource: CfnResource): NagRuleResult {
  const statements = allowedByIotPolicy(resource);
  if (statements === undefined) return NagRuleCompliance.NOT_APPLICABLE;
  const limited = statements.every(
    ({ resources }) => resources.length > 0 && resources.every((arn) => thingName.test(arn)),
  );
  return limited ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
}
