import type { Json, ResourceType } from '../cloud.ts';
import { intrinsicOf } from './intrinsics.ts';

/**
 * The dotted paths of `properties` that the resource type neither honours nor knowingly leaves out. Both branches of
 * `Fn::If` are looked at; list positions do not appear in paths.
 */
export function unknownProperties(properties: Readonly<Record<string, Json>>, type: ResourceType): string[] {
  // A type that takes any property, such as a custom resource.
  if (type.honoured.includes('*')) return [];
  const known = [...type.honoured, ...Object.keys(type.leftOut)];
  const whole = new Set(known);
  const parents = new Set(known.flatMap((path) => ancestors(path)));
  const unknown = new Set<string>();
  const visit = (value: Json, path: string) => {
    if (whole.has(path)) return;
    const intrinsic = intrinsicOf(value);
    if (intrinsic?.[0] === 'Fn::If' && Array.isArray(intrinsic[1])) {
      for (const branch of intrinsic[1].slice(1)) visit(branch, path);
      return;
    }
    if (intrinsic?.[0] === 'Ref' && intrinsic[1] === 'AWS::NoValue') return;
    if (Array.isArray(value) && parents.has(path)) {
      for (const item of value) visit(item, path);
      return;
    }
    if (
      intrinsic === undefined &&
      value !== null &&
      typeof value === 'object' &&
      !Array.isArray(value) &&
      parents.has(path)
    ) {
      for (const [name, member] of Object.entries(value)) visit(member, `${path}.${name}`);
      return;
    }
    unknown.add(path);
  };
  for (const [name, value] of Object.entries(properties)) visit(value, name);
  return [...unknown];
}

function ancestors(path: string): string[] {
  const parts = path.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
}
