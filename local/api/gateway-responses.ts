import type { Json } from '../cloud.ts';
import { objectOf, optionalText, text } from '../template/read.ts';
import type { Answer } from './incoming.ts';

/** Why API Gateway answers by itself. */
export type RefusalType =
  | 'ACCESS_DENIED'
  | 'AUTHORIZER_CONFIGURATION_ERROR'
  | 'AUTHORIZER_FAILURE'
  | 'API_CONFIGURATION_ERROR'
  | 'BAD_REQUEST_BODY'
  | 'BAD_REQUEST_PARAMETERS'
  | 'INTEGRATION_FAILURE'
  | 'INTEGRATION_TIMEOUT'
  | 'MISSING_AUTHENTICATION_TOKEN'
  | 'REQUEST_TOO_LARGE'
  | 'UNAUTHORIZED';

/** What API Gateway says without a gateway response of the template. */
const DEFAULTS: Readonly<Record<RefusalType, { readonly status: number; readonly message: string }>> = {
  ACCESS_DENIED: { status: 403, message: 'User is not authorized to access this resource' },
  AUTHORIZER_CONFIGURATION_ERROR: { status: 500, message: 'Internal server error' },
  AUTHORIZER_FAILURE: { status: 500, message: 'Internal server error' },
  API_CONFIGURATION_ERROR: { status: 502, message: 'Internal server error' },
  BAD_REQUEST_BODY: { status: 400, message: 'Invalid request body' },
  BAD_REQUEST_PARAMETERS: { status: 400, message: 'Missing required request parameters' },
  INTEGRATION_FAILURE: { status: 504, message: 'Internal server error' },
  INTEGRATION_TIMEOUT: { status: 504, message: 'Endpoint request timed out' },
  MISSING_AUTHENTICATION_TOKEN: { status: 403, message: 'Missing Authentication Token' },
  REQUEST_TOO_LARGE: { status: 413, message: 'Request Too Long' },
  UNAUTHORIZED: { status: 401, message: 'Unauthorized' },
};

/** What is wrong with a request that API Gateway answers by itself. */
export interface Refusal {
  readonly type: RefusalType;
  /** In place of the default message. */
  readonly message?: string;
  /** What request validation found. */
  readonly validationError?: string;
}

/** A gateway response of the template. */
export interface GatewayResponse {
  readonly status: number | undefined;
  readonly headers: readonly (readonly [string, string])[];
  /** Content type and body, `$context...` not yet filled in. */
  readonly templates: readonly (readonly [string, string])[];
}

const VARIABLES = new Set([
  '$context.error.message',
  '$context.error.messageString',
  '$context.error.responseType',
  '$context.error.validationErrorString',
  '$context.requestId',
]);

/** Reads the properties of AWS::ApiGateway::GatewayResponse. Throws for mapping expressions that are not known. */
export function readGatewayResponse(properties: Readonly<Record<string, Json>>): GatewayResponse {
  const status = optionalText(properties['StatusCode']);
  const headers = Object.entries(objectOf(properties['ResponseParameters'])).map(([name, value]): [string, string] => {
    const [, header] = /^gatewayresponse\.header\.(.+)$/.exec(name) ?? [];
    const [, constant] = /^'(.*)'$/.exec(text(value, name)) ?? [];
    if (header === undefined || constant === undefined)
      throw new Error(`ResponseParameters: ${name} is not known to the local cloud`);
    return [header, constant];
  });
  const templates = Object.entries(objectOf(properties['ResponseTemplates'])).map(([type, value]): [string, string] => {
    const template = text(value, type);
    for (const [variable] of template.matchAll(/[$#][A-Za-z][A-Za-z.]*/g)) {
      if (!VARIABLES.has(variable)) throw new Error(`ResponseTemplates: ${variable} is not known to the local cloud`);
    }
    return [type, template];
  });
  return { status: status === undefined ? undefined : Number(status), headers, templates };
}

/** What API Gateway answers: by the template's response for this type, else for its class, else by default. */
export function refuse(refusal: Refusal, responses: ReadonlyMap<string, GatewayResponse>, requestId: string): Answer {
  const defaults = DEFAULTS[refusal.type];
  const custom = responses.get(refusal.type) ?? responses.get(defaults.status < 500 ? 'DEFAULT_4XX' : 'DEFAULT_5XX');
  const message = refusal.message ?? defaults.message;
  const values: Readonly<Record<string, string>> = {
    '$context.error.messageString': JSON.stringify(message),
    '$context.error.message': message,
    '$context.error.responseType': refusal.type,
    '$context.error.validationErrorString': refusal.validationError ?? '',
    '$context.requestId': requestId,
  };
  const [contentType, template] = custom?.templates[0] ?? [
    'application/json',
    '{"message":$context.error.messageString}',
  ];
  // The longer name first: one is the beginning of another.
  const body = Object.entries(values).reduce(
    (filled, [variable, value]) => filled.replaceAll(variable, value),
    template,
  );
  const headers = custom?.headers ?? [];
  const typed = headers.some(([name]) => name.toLowerCase() === 'content-type');
  return {
    status: custom?.status ?? defaults.status,
    headers: [
      ...(typed ? [] : [['Content-Type', contentType] as const]),
      ['x-amzn-RequestId', requestId],
      ['x-amzn-ErrorType', errorType(refusal.type)],
      ...headers,
    ],
    body: Buffer.from(body),
  };
}

/** `BAD_REQUEST_BODY` -> `BadRequestException` and the like, as API Gateway names them. */
function errorType(type: RefusalType): string {
  if (type.startsWith('BAD_REQUEST')) return 'BadRequestException';
  const words = type.toLowerCase().split('_');
  return `${words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('')}Exception`;
}
