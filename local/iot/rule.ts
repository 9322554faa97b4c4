import type { Json } from '../cloud.ts';
import { type Expression, parseExpression, parseStatement, type Statement } from './sql/parse.ts';

/** What a rule does with a message that it selected. */
export type Action =
  | { readonly kind: 'lambda'; readonly functionArn: string }
  | { readonly kind: 'sqs'; readonly queueUrl: string; readonly roleArn: string; readonly useBase64: boolean }
  | { readonly kind: 'sns'; readonly targetArn: string; readonly roleArn: string; readonly format: 'RAW' | 'JSON' }
  | {
      readonly kind: 'republish';
      readonly topic: readonly TemplatePart[];
      readonly roleArn: string;
      readonly qos: 0 | 1;
    };

/** A piece of a substitution template: text, or the expression of a `${...}`. */
export type TemplatePart = string | Expression;

/** A topic rule as the broker runs it. */
export interface Rule {
  readonly name: string;
  readonly arn: string;
  readonly statement: Statement;
  readonly actions: readonly Action[];
  readonly errorAction: Action | undefined;
  readonly disabled: boolean;
}

/** AWS's names of the actions, as they stand in an error action's message. */
export const ACTION_NAMES: Readonly<Record<Action['kind'], string>> = {
  lambda: 'LambdaAction',
  sqs: 'SqsAction',
  sns: 'SnsAction',
  republish: 'RepublishAction',
};

const MAX_ACTIONS = 10;

/** Reads the `TopicRulePayload` of an AWS::IoT::TopicRule. Throws a sentence that names the rule and the fault. */
export function readRule(name: string, arn: string, payload: Json | undefined): Rule {
  try {
    return read(name, arn, payload);
  } catch (error) {
    throw new Error(`Topic rule ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function read(name: string, arn: string, payload: Json | undefined): Rule {
  const fields = members(payload, 'TopicRulePayload', [
    'Actions',
    'AwsIotSqlVersion',
    'Description',
    'ErrorAction',
    'RuleDisabled',
    'Sql',
  ]);
  const version = fields['AwsIotSqlVersion'];
  if (version !== '2016-03-23')
    throw new Error(`only AwsIotSqlVersion 2016-03-23 is emulated, not ${JSON.stringify(version)}`);
  const actions = fields['Actions'];
  if (!Array.isArray(actions)) throw new Error('Actions must be a list');
  if (actions.length > MAX_ACTIONS) throw new Error(`at most ${MAX_ACTIONS} actions`);
  return {
    name,
    arn,
    statement: parseStatement(text(fields, 'Sql')),
    actions: actions.map(readAction),
    errorAction: fields['ErrorAction'] === undefined ? undefined : readAction(fields['ErrorAction']),
    disabled: bool(fields['RuleDisabled']),
  };
}

function readAction(action: Json): Action {
  const entries = Object.entries(members(action, 'an action', ['Lambda', 'Sqs', 'Sns', 'Republish']));
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) throw new Error('an action has exactly one kind');
  const [kind, value] = entry;
  if (kind === 'Lambda') {
    return { kind: 'lambda', functionArn: constant(members(value, kind, ['FunctionArn']), 'FunctionArn') };
  }
  if (kind === 'Sqs') {
    const fields = members(value, kind, ['QueueUrl', 'RoleArn', 'UseBase64']);
    return {
      kind: 'sqs',
      queueUrl: constant(fields, 'QueueUrl'),
      roleArn: constant(fields, 'RoleArn'),
      useBase64: bool(fields['UseBase64']),
    };
  }
  if (kind === 'Sns') {
    const fields = members(value, kind, ['TargetArn', 'RoleArn', 'MessageFormat']);
    const format = fields['MessageFormat'] ?? 'JSON';
    if (format !== 'RAW' && format !== 'JSON') throw new Error('MessageFormat must be RAW or JSON');
    return { kind: 'sns', targetArn: constant(fields, 'TargetArn'), roleArn: constant(fields, 'RoleArn'), format };
  }
  const fields = members(value, kind, ['Topic', 'RoleArn', 'Qos']);
  const qos = Number(fields['Qos'] ?? 0);
  if (qos !== 0 && qos !== 1) throw new Error('Qos must be 0 or 1');
  return { kind: 'republish', topic: readTemplate(text(fields, 'Topic')), roleArn: constant(fields, 'RoleArn'), qos };
}

/** `${expression}` is filled in for each message; `$$` at the start is a `$` that begins a reserved topic. */
function readTemplate(template: string): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let rest = template.startsWith('$$') ? template.slice(1) : template;
  for (;;) {
    const start = rest.indexOf('${');
    if (start < 0) break;
    const end = rest.indexOf('}', start);
    if (end < 0) throw new Error(`a substitution template does not end in ${template}`);
    if (start > 0) parts.push(rest.slice(0, start));
    parts.push(parseExpression(rest.slice(start + 2, end)));
    rest = rest.slice(end + 1);
  }
  if (rest !== '') parts.push(rest);
  return parts;
}

function members(value: Json | undefined, what: string, known: readonly string[]): Readonly<Record<string, Json>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} must be an object`);
  for (const name of Object.keys(value))
    if (!known.includes(name)) throw new Error(`${name} of ${what} is not emulated`);
  return value;
}

function text(fields: Readonly<Record<string, Json>>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw new Error(`${name} is missing`);
  return value;
}

function constant(fields: Readonly<Record<string, Json>>, name: string): string {
  const value = text(fields, name);
  if (value.includes('${')) throw new Error(`a substitution template in ${name} is not emulated`);
  return value;
}

function bool(value: Json | undefined): boolean {
  return value === true || value === 'true';
}
