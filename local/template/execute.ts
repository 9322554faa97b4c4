import type { Cloud, CreatedResource, Json, ResourceType } from '../cloud.ts';
import type { Stack, TemplateResource } from './assembly.ts';
import { conditionHolds, referencesOf, resolve, resolveMembers, type Scope, TemplateError } from './intrinsics.ts';
import { unknownProperties } from './properties.ts';

/** Values of `Outputs`, by stack and name. */
export type Outputs = Readonly<Record<string, Readonly<Record<string, Json>>>>;

/** Finds the resource type of a template's `Type`. */
export type ResourceTypes = (type: string) => ResourceType | undefined;

/**
 * Throws a `TemplateError` that lists every resource type and property which the local cloud does not know, so that a
 * template with something new fails before anything is made.
 */
export function checkStacks(stacks: readonly Stack[], types: ResourceTypes): void {
  const findings: string[] = [];
  for (const stack of stacks) {
    for (const [logicalId, resource] of Object.entries(stack.template.Resources ?? {})) {
      const type = types(resource.Type);
      if (type === undefined) {
        findings.push(`${stack.name}/${logicalId}: resource type ${resource.Type} is not known`);
        continue;
      }
      for (const property of unknownProperties(resource.Properties ?? {}, type)) {
        findings.push(`${stack.name}/${logicalId}: property ${property} of ${resource.Type} is not known`);
      }
    }
  }
  if (findings.length > 0) {
    throw new TemplateError(
      `The local cloud cannot run this template:\n${findings.map((finding) => `  ${finding}`).join('\n')}`,
    );
  }
}

/** Makes all resources of the stacks, each after those that it refers to, and returns the stacks' outputs. */
export async function executeStacks(stacks: readonly Stack[], types: ResourceTypes, cloud: Cloud): Promise<Outputs> {
  const exports = new Map<string, Json>();
  const outputs: Record<string, Record<string, Json>> = {};
  for (const stack of stacks) outputs[stack.name] = await executeStack(stack, types, cloud, exports);
  return outputs;
}

async function executeStack(
  stack: Stack,
  types: ResourceTypes,
  cloud: Cloud,
  exports: Map<string, Json>,
): Promise<Record<string, Json>> {
  const created = new Map<string, CreatedResource>();
  const scope: Scope = {
    pseudo: {
      'AWS::AccountId': cloud.account,
      'AWS::Region': cloud.region,
      'AWS::Partition': 'aws',
      'AWS::URLSuffix': 'amazonaws.com',
      'AWS::StackName': stack.name,
      'AWS::StackId': cloud.arn('cloudformation', `stack/${stack.name}/local`),
    },
    template: stack.template,
    ref: (logicalId) => created.get(logicalId)?.ref,
    attribute: (logicalId, name) => created.get(logicalId)?.attributes?.[name],
    imported: (name) => exports.get(name),
  };
  for (const [logicalId, resource] of inOrder(stack)) {
    if (resource.Condition !== undefined && !conditionHolds(resource.Condition, scope)) continue;
    const type = types(resource.Type);
    if (type === undefined)
      throw new TemplateError(`${stack.name}/${logicalId}: resource type ${resource.Type} is not known`);
    try {
      const properties = resolveMembers(resource.Properties ?? {}, scope);
      created.set(
        logicalId,
        await type.create({ stackName: stack.name, logicalId, type: resource.Type, properties }, cloud),
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TemplateError(`${stack.name}/${logicalId} (${resource.Type}): ${reason}`, { cause: error });
    }
  }
  const outputs: Record<string, Json> = {};
  for (const [name, output] of Object.entries(stack.template.Outputs ?? {})) {
    if (output.Condition !== undefined && !conditionHolds(output.Condition, scope)) continue;
    const value = resolve(output.Value, scope);
    outputs[name] = value;
    if (output.Export !== undefined) exports.set(String(resolve(output.Export.Name, scope)), value);
  }
  return outputs;
}

/** The stack's resources, each after those that it refers to; otherwise in the template's order. */
function inOrder(stack: Stack): [string, TemplateResource][] {
  const resources = stack.template.Resources ?? {};
  const ordered: [string, TemplateResource][] = [];
  const state = new Map<string, 'visiting' | 'done'>();
  const visit = (logicalId: string, from: string) => {
    const resource = resources[logicalId];
    if (resource === undefined || state.get(logicalId) === 'done') return;
    if (state.get(logicalId) === 'visiting') {
      throw new TemplateError(`${stack.name}: ${from} and ${logicalId} refer to each other in a circle`);
    }
    state.set(logicalId, 'visiting');
    const explicit = typeof resource.DependsOn === 'string' ? [resource.DependsOn] : (resource.DependsOn ?? []);
    for (const next of [...explicit, ...referencesOf((resource.Properties ?? {}) as Json)]) visit(next, logicalId);
    state.set(logicalId, 'done');
    ordered.push([logicalId, resource]);
  };
  for (const logicalId of Object.keys(resources)) visit(logicalId, stack.name);
  return ordered;
}
