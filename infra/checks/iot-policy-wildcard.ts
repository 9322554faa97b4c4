import type { CfnResource } from 'aws-cdk-lib';
import { NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import { allowedByIotPolicy } from './iot-policy-statements.ts';

/** AWS IoT policies name actions and resources; each pattern is a finding: `Action::iot:*`, `Resource::...`. */
export function iotPolicyWildcard(resource: CfnResource): NagRuleResult {
  const statements = allowedByIotPolicy(resource);
  if (statements === undefined) return NagRuleCompliance.NOT_APPLICABLE;
  // In topic filters + and # are wildcards of MQTT; ? is one of IAM in every resource.
  const findings = statements.flatMap(({ actions, resources }) => [
    ...actions.filter((action) => action.includes('*')).map((action) => `Action::${action}`),
    ...resources.filter((arn) => /[*?]|:topic(filter)?\/.*[+#]/.test(arn)).map((arn) => `Resource::${arn}`),
  ]);
  return findings.length === 0 ? NagRuleCompliance.COMPLIANT : findings;
}
