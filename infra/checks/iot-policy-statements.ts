import type { CfnResource } from 'aws-cdk-lib';
import { CfnPolicy } from 'aws-cdk-lib/aws-iot';
import { listOf, member, resolved, textOf } from './resolved.ts';

/** A statement of an AWS IoT policy that allows something. */
export interface IotStatement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/** What an AWS IoT policy allows; undefined when the resource is none. */
export function allowedByIotPolicy(resource: CfnResource): readonly IotStatement[] | undefined {
  if (!(resource instanceof CfnPolicy)) return undefined;
  return listOf(member(resolved(resource, resource.policyDocument), 'Statement'))
    .filter((statement) => member(statement, 'Effect') === 'Allow')
    .map((statement) => ({
      actions: listOf(member(statement, 'Action')).map(textOf),
      resources: listOf(member(statement, 'Resource')).map(textOf),
    }));
}
