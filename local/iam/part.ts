import { createHash } from 'node:crypto';
import type { Json, Part, ResourceRequest } from '../cloud.ts';
import { listOf, optionalText, text } from '../template/read.ts';
import type { Roles } from './roles.ts';

const NOT_SHOWN = 'shown in the console of AWS only';

/** IAM roles and policies. What they allow is enforced on every call; see `Roles`. */
export function iamPart(roles: Roles): Part {
  const roleArns = (resource: ResourceRequest) =>
    listOf(resource.properties['Roles']).map((role) => text(role, 'Roles'));
  /** Documents of the template's managed policies by ARN. */
  const documents = new Map<string, Json>();
  return {
    name: 'iam',
    resources: [
      {
        type: 'AWS::IAM::Role',
        honoured: ['RoleName', 'Path', 'AssumeRolePolicyDocument', 'Policies', 'ManagedPolicyArns'],
        leftOut: {
          Description: NOT_SHOWN,
          Tags: NOT_SHOWN,
          MaxSessionDuration: 'sessions of functions do not end locally',
        },
        create: (resource, cloud) => {
          const name = optionalText(resource.properties['RoleName']) ?? cloud.physicalName(resource);
          const path = optionalText(resource.properties['Path']) ?? '/';
          const arn = cloud.arn('iam', `role${path}${name}`);
          roles.define(arn, resource.properties['AssumeRolePolicyDocument'] ?? null);
          for (const policy of listOf(resource.properties['Policies'])) {
            if (policy !== null && typeof policy === 'object' && !Array.isArray(policy)) {
              roles.attach(arn, policy['PolicyDocument'] ?? null);
            }
          }
          for (const policy of listOf(resource.properties['ManagedPolicyArns'])) {
            // A policy that AWS keeps grants nothing here: a function that relied on one would be denied, and seen.
            const document = documents.get(text(policy, 'ManagedPolicyArns'));
            if (document !== undefined) roles.attach(arn, document);
          }
          return { ref: name, attributes: { Arn: arn, RoleId: `AROA${hash(arn)}` } };
        },
      },
      {
        type: 'AWS::IAM::Policy',
        honoured: ['PolicyName', 'PolicyDocument', 'Roles'],
        leftOut: {},
        create: (resource, cloud) => {
          for (const role of roleArns(resource)) roles.attach(role, documentOf(resource));
          return { ref: optionalText(resource.properties['PolicyName']) ?? cloud.physicalName(resource) };
        },
      },
      {
        type: 'AWS::IAM::ManagedPolicy',
        honoured: ['ManagedPolicyName', 'Path', 'PolicyDocument', 'Roles'],
        leftOut: { Description: NOT_SHOWN },
        create: (resource, cloud) => {
          for (const role of roleArns(resource)) roles.attach(role, documentOf(resource));
          const name = optionalText(resource.properties['ManagedPolicyName']) ?? cloud.physicalName(resource);
          const arn = cloud.arn('iam', `policy${optionalText(resource.properties['Path']) ?? '/'}${name}`);
          documents.set(arn, documentOf(resource));
          return { ref: arn, attributes: { PolicyArn: arn } };
        },
      },
    ],
  };
}

function documentOf(resource: ResourceRequest): Json {
  return resource.properties['PolicyDocument'] ?? null;
}

function hash(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 17).toUpperCase();
}
