import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/**
 * Acknowledges findings of the checks on one construct (and what is below it), with the reason why each is accepted.
 *
 * @param reasons rule id, e.g. `AwsSolutions-S1` or `AwsSolutions-IAM5[Resource::*]`, -> why
 */
export function acknowledge(construct: IConstruct, reasons: Readonly<Record<string, string>>): void {
  for (const [id, reason] of Object.entries(reasons)) Validations.of(construct).acknowledge({ id, reason });
}

/**
 * Acknowledges resource patterns in a policy: each is a finding of its own.
 *
 * @param patterns ARN with a wildcard -> why it cannot be narrower
 */
export function acknowledgeWildcards(construct: IConstruct, patterns: Readonly<Record<string, string>>): void {
  for (const [arn, reason] of Object.entries(patterns)) {
    acknowledge(construct, { [`AwsSolutions-IAM5[Resource::${flattened(Stack.of(construct).resolve(arn))}]`]: reason });
  }
}

/** An ARN as cdk-nag prints it: references to pseudo parameters and resources in angle brackets. */
function flattened(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && value !== null) {
    if ('Fn::Join' in value && Array.isArray(value['Fn::Join'])) {
      const [delimiter, items] = value['Fn::Join'] as [string, unknown[]];
      return items.map(flattened).join(delimiter);
    }
    if ('Ref' in value) return `<${String(value.Ref)}>`;
    if ('Fn::GetAtt' in value && Array.isArray(value['Fn::GetAtt'])) return `<${value['Fn::GetAtt'].join('.')}>`;
    if ('Fn::ImportValue' in value) return flattened(value['Fn::ImportValue']);
  }
  throw new Error(`Cannot print ${JSON.stringify(value)} as an ARN`);
}
