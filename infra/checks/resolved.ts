import { type CfnResource, Stack } from 'aws-cdk-lib';

/** A value of a resource with CDK's tokens replaced by what the template will hold. */
export function resolved(resource: CfnResource, value: unknown): unknown {
  return Stack.of(resource).resolve(value);
}

/** Member `name` of an object, undefined when there is none. */
export function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** A value that may be one or a list, as a list. */
export function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** A string of the template; references to other resources and pseudo parameters read `<name>`. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const join = member(value, 'Fn::Join');
  if (Array.isArray(join)) {
    const [delimiter, parts] = join as [string, unknown[]];
    return parts.map(textOf).join(delimiter);
  }
  const ref = member(value, 'Ref');
  if (typeof ref === 'string') return `<${ref}>`;
  const attribute = member(value, 'Fn::GetAtt');
  if (Array.isArray(attribute)) return `<${attribute.join('.')}>`;
  return textOf(member(value, 'Fn::ImportValue') ?? JSON.stringify(value) ?? '');
}
