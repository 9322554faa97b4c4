import type { Json } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';

/** The value at a path like `$.detail.state` or `$.resources[0]`; undefined where there is none. Throws for any other path. */
export const valueAt = (event: Json, path: string): Json | undefined => {
  if (!/^\$(\.[A-Za-z0-9_-]+|\[\d+\])*$/.test(path)) throw new Error(`"${path}" is not a path of event fields`);
  const steps = path.match(/[A-Za-z0-9_-]+/g) ?? [];
  return steps.reduce<Json | undefined>((value, step) => {
    if (Array.isArray(value)) return value[Number(step)];
    return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }, event);
};

const PREDEFINED = (event: JsonObject, ruleArn: string, now: number): Record<string, Json> => ({
  'aws.events.rule-arn': ruleArn,
  'aws.events.rule-name': ruleArn.split('/').at(-1) ?? '',
  'aws.events.event.ingestion-time': new Date(now).toISOString(),
  'aws.events.event': event,
  'aws.events.event.json': event,
});

/** Within quotation marks a value is written as text, outside as JSON, as EventBridge does. */
const fill = (template: string, values: Readonly<Record<string, Json | undefined>>): string => {
  let quoted = false;
  return template.replace(/\\.|"|<([A-Za-z0-9_.-]+)>/g, (match, name: string | undefined) => {
    if (match === '"') quoted = !quoted;
    if (name === undefined || !Object.hasOwn(values, name)) return match;
    const value = values[name];
    if (!quoted) return JSON.stringify(value ?? null);
    const text = typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
    return JSON.stringify(text).slice(1, -1);
  });
};

/**
 * What a target gets of an event, as JSON text: the event, a constant (`Input`), a part (`InputPath`), or what a template
 * makes of it (`InputTransformer`).
 */
export const targetInput = (target: Fields, event: JsonObject, ruleArn: string, now: number): string => {
  const constant = target.optionalText('Input');
  if (constant !== undefined) return constant;
  const path = target.optionalText('InputPath');
  if (path !== undefined) return JSON.stringify(valueAt(event, path) ?? null);
  const transformer = target.optionalObject('InputTransformer');
  if (transformer === undefined) return JSON.stringify(event);
  const paths = transformer.optionalObject('InputPathsMap') ?? new Fields({});
  const values = Object.fromEntries(Object.keys(paths.raw).map((name) => [name, valueAt(event, paths.text(name))]));
  return fill(transformer.text('InputTemplate'), { ...PREDEFINED(event, ruleArn, now), ...values });
};
