import type { Json } from '../cloud.ts';
import type { Template } from './assembly.ts';

/** A template that uses CloudFormation in a way that the local cloud does not know. */
export class TemplateError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TemplateError';
  }
}

/** What intrinsic functions of one stack may look up. */
export interface Scope {
  /** Values of the pseudo parameters, e.g. `AWS::Region`. */
  readonly pseudo: Readonly<Record<string, string>>;
  readonly template: Template;
  /** `Ref` of a resource that exists already; undefined when there is no such resource. */
  ref(logicalId: string): string | undefined;
  /** `Fn::GetAtt` of a resource that exists already. */
  attribute(logicalId: string, attribute: string): string | undefined;
  /** An export of a stack that was executed before. */
  imported(name: string): Json | undefined;
}

/** Stands for `AWS::NoValue`: the property is dropped. */
const NO_VALUE = Symbol('AWS::NoValue');
type Resolved = Json | typeof NO_VALUE;

/** Resolves all intrinsic functions in `value`; throws `TemplateError` for what is unknown. */
export function resolve(value: Json, scope: Scope): Json {
  const resolved = walk(value, scope);
  if (resolved === NO_VALUE) throw new TemplateError('AWS::NoValue stands where a value is needed');
  return resolved;
}

/** Resolves an object's members, dropping those that come to `AWS::NoValue`. */
export function resolveMembers(members: Readonly<Record<string, Json>>, scope: Scope): Record<string, Json> {
  const result: Record<string, Json> = {};
  for (const [name, member] of Object.entries(members)) {
    const resolved = walk(member, scope);
    if (resolved !== NO_VALUE) result[name] = resolved;
  }
  return result;
}

/** Whether a condition of the template's `Conditions` holds. */
export function conditionHolds(name: string, scope: Scope): boolean {
  const condition = scope.template.Conditions?.[name];
  if (condition === undefined) throw new TemplateError(`there is no condition ${name}`);
  return evaluateCondition(condition, scope);
}

/** The function's name and argument when `value` is an intrinsic function, e.g. `['Ref', 'Table']`. */
export function intrinsicOf(value: Json): readonly [string, Json] | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0) return undefined;
  return entry[0] === 'Ref' || entry[0].startsWith('Fn::') ? entry : undefined;
}

/** The logical ids of all resources that `value` refers to, whichever way. */
export function referencesOf(value: Json, into: Set<string> = new Set()): Set<string> {
  const intrinsic = intrinsicOf(value);
  if (intrinsic !== undefined) {
    const [name, argument] = intrinsic;
    if (name === 'Ref' && typeof argument === 'string') into.add(argument);
    if (name === 'Fn::GetAtt') into.add(attributeReference(argument)[0]);
    if (name === 'Fn::Sub') {
      const text = Array.isArray(argument) ? argument[0] : argument;
      if (typeof text === 'string') {
        for (const [, variable] of text.matchAll(SUBSTITUTION)) into.add((variable ?? '').split('.')[0] ?? '');
      }
    }
  }
  if (Array.isArray(value)) for (const item of value) referencesOf(item, into);
  else if (value !== null && typeof value === 'object')
    for (const item of Object.values(value)) referencesOf(item, into);
  return into;
}

const SUBSTITUTION = /\$\{([^!}][^}]*)\}/g;

function walk(value: Json, scope: Scope): Resolved {
  const intrinsic = intrinsicOf(value);
  if (intrinsic !== undefined) return call(intrinsic[0], intrinsic[1], scope);
  if (Array.isArray(value)) return value.map((item) => walk(item, scope)).filter((item) => item !== NO_VALUE);
  if (value !== null && typeof value === 'object') return resolveMembers(value, scope);
  return value;
}

function call(name: string, argument: Json, scope: Scope): Resolved {
  switch (name) {
    case 'Ref':
      return reference(text(argument, name), scope);
    case 'Fn::GetAtt':
      return attribute(attributeReference(resolve(argument, scope)), scope);
    case 'Fn::Sub':
      return substitute(argument, scope);
    case 'Fn::Join': {
      const [separator, parts] = list(argument, name, 2);
      return list(resolve(parts ?? [], scope), name)
        .map((part) => text(part, name))
        .join(text(separator, name));
    }
    case 'Fn::Select': {
      const [index, from] = list(argument, name, 2);
      const selected = list(resolve(from ?? [], scope), name)[Number(resolve(index ?? null, scope))];
      if (selected === undefined) throw new TemplateError(`Fn::Select: there is no element ${JSON.stringify(index)}`);
      return selected;
    }
    case 'Fn::Split': {
      const [separator, from] = list(argument, name, 2);
      return text(resolve(from ?? null, scope), name).split(text(separator, name));
    }
    case 'Fn::Base64':
      return Buffer.from(text(resolve(argument, scope), name)).toString('base64');
    case 'Fn::FindInMap': {
      const [map, top, second] = list(argument, name, 3).map((key) => text(resolve(key, scope), name));
      const found = scope.template.Mappings?.[map ?? '']?.[top ?? '']?.[second ?? ''];
      if (found === undefined) throw new TemplateError(`Fn::FindInMap: there is no ${map}.${top}.${second}`);
      return found;
    }
    case 'Fn::ImportValue': {
      const exportName = text(resolve(argument, scope), name);
      const value = scope.imported(exportName);
      if (value === undefined) throw new TemplateError(`Fn::ImportValue: no stack exports ${exportName}`);
      return value;
    }
    case 'Fn::If': {
      const [condition, yes, no] = list(argument, name, 3);
      return walk((conditionHolds(text(condition, name), scope) ? yes : no) ?? null, scope);
    }
    case 'Fn::ToJsonString':
      return JSON.stringify(resolve(argument, scope));
    case 'Fn::GetAZs':
      return ['a', 'b', 'c'].map((zone) => `${scope.pseudo['AWS::Region'] ?? ''}${zone}`);
    default:
      if (CONDITION_FUNCTIONS.has(name)) return evaluateCondition({ [name]: argument }, scope);
      throw new TemplateError(`${name} is not known to the local cloud`);
  }
}

function reference(name: string, scope: Scope): Resolved {
  if (name === 'AWS::NoValue') return NO_VALUE;
  const pseudo = scope.pseudo[name];
  if (pseudo !== undefined) return pseudo;
  const parameter = scope.template.Parameters?.[name];
  if (parameter !== undefined) {
    if (parameter.Default === undefined) throw new TemplateError(`parameter ${name} has no default value`);
    return parameter.Default;
  }
  const ref = scope.ref(name);
  if (ref === undefined) throw new TemplateError(`Ref: there is no ${name}`);
  return ref;
}

function attribute([logicalId, name]: readonly [string, string], scope: Scope): string {
  const value = scope.attribute(logicalId, name);
  if (value === undefined)
    throw new TemplateError(`Fn::GetAtt: ${logicalId} has no attribute ${name} in the local cloud`);
  return value;
}

function attributeReference(argument: Json): readonly [string, string] {
  if (typeof argument === 'string') {
    const dot = argument.indexOf('.');
    return [argument.slice(0, dot), argument.slice(dot + 1)];
  }
  const [logicalId, name] = list(argument, 'Fn::GetAtt', 2);
  return [text(logicalId, 'Fn::GetAtt'), text(name, 'Fn::GetAtt')];
}

function substitute(argument: Json, scope: Scope): string {
  const [template, variables] = Array.isArray(argument) ? argument : [argument, {}];
  const own = variables !== null && typeof variables === 'object' && !Array.isArray(variables) ? (variables ?? {}) : {};
  return text(template, 'Fn::Sub')
    .replaceAll(SUBSTITUTION, (_, variable: string) => {
      const value = own[variable];
      if (value !== undefined) return text(resolve(value, scope), 'Fn::Sub');
      if (variable.includes('.')) return attribute(attributeReference(variable), scope);
      const resolved = reference(variable, scope);
      return resolved === NO_VALUE ? '' : text(resolved, 'Fn::Sub');
    })
    .replaceAll('${!', '${');
}

const CONDITION_FUNCTIONS = new Set(['Fn::Equals', 'Fn::And', 'Fn::Or', 'Fn::Not']);

function evaluateCondition(condition: Json, scope: Scope): boolean {
  if (condition === null || typeof condition !== 'object' || Array.isArray(condition)) {
    throw new TemplateError(`not a condition: ${JSON.stringify(condition)}`);
  }
  const [[name, argument] = ['', null]] = Object.entries(condition);
  switch (name) {
    case 'Condition':
      return conditionHolds(text(argument, name), scope);
    case 'Fn::Equals': {
      const [left, right] = list(argument, name, 2).map((side) => JSON.stringify(resolve(side, scope)));
      return left === right;
    }
    case 'Fn::And':
      return list(argument, name).every((item) => evaluateCondition(item, scope));
    case 'Fn::Or':
      return list(argument, name).some((item) => evaluateCondition(item, scope));
    case 'Fn::Not':
      return !evaluateCondition(list(argument, name, 1)[0] ?? null, scope);
    default:
      throw new TemplateError(`condition function ${name} is not known to the local cloud`);
  }
}

function text(value: Json | undefined, where: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new TemplateError(`${where}: expected text, found ${JSON.stringify(value)}`);
}

function list(value: Json, where: string, length?: number): Json[] {
  if (Array.isArray(value) && (length === undefined || value.length === length)) return value;
  throw new TemplateError(
    `${where}: expected a list${length === undefined ? '' : ` of ${length}`}, found ${JSON.stringify(value)}`,
  );
}
