import { Ajv, type ValidateFunction } from 'ajv';
import type { Json } from '../cloud.ts';

/** Returns what is wrong with a request body, or undefined when it is valid. */
export type BodyCheck = (body: string) => string | undefined;

/**
 * Compiles a model of a REST API: JSON Schema draft 4, as API Gateway validates it.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
 */
export function compileModel(schema: Json): BodyCheck {
  // Formats are not asserted by API Gateway.
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validate: ValidateFunction = ajv.compile(toCurrentDraft(schema) as object);
  return (body) => {
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch (error) {
      return `[${error instanceof Error ? error.message : 'not JSON'}]`;
    }
    if (validate(value)) return undefined;
    return `[${(validate.errors ?? []).map((error) => `${error.instancePath || 'object'} ${error.message ?? ''}`).join(', ')}]`;
  };
}

/** Draft 4 spells exclusive limits as booleans beside the limit, and its identifier `id`. */
function toCurrentDraft(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(toCurrentDraft);
  if (schema === null || typeof schema !== 'object') return schema;
  const { $schema: _dialect, ...members } = schema;
  const result: Record<string, Json> = {};
  for (const [name, value] of Object.entries(members)) result[name] = toCurrentDraft(value);
  for (const [flag, limit] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    const bound = result[limit];
    if (result[flag] === true && bound !== undefined) {
      result[flag] = bound;
      delete result[limit];
    } else if (result[flag] === false) {
      delete result[flag];
    }
  }
  return result;
}
