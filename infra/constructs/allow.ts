import { Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';

/** One statement of a policy that allows `actions` on `resources` (full ARNs), optionally under conditions. */
export function allow(
  actions: readonly string[],
  resources: readonly string[],
  conditions: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>> = {},
): PolicyStatement {
  return new PolicyStatement({ effect: Effect.ALLOW, actions: [...actions], resources: [...resources], conditions });
}
