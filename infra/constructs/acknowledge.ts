import { Stack, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { textOf } from '../checks/resolved.ts';

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
    acknowledge(construct, { [`AwsSolutions-IAM5[Resource::${textOf(Stack.of(construct).resolve(arn))}]`]: reason });
  }
}
