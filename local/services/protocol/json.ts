import {
  AwsError,
  type AwsRequest,
  type AwsResponse,
  type AwsService,
  type Json,
  type Permission,
  type Principal,
} from '../../cloud.ts';
import { Fields } from '../fields.ts';

/** One operation of a service that speaks AWS JSON 1.0 or 1.1 (`x-amz-target: <prefix>.<operation>`). */
export interface JsonOperation {
  /** What the caller needs to be allowed; may look resources up and throw when they do not exist. */
  permissions(input: Fields): readonly Permission[];
  /** Carries the call out; what it returns is the response's body. */
  run(input: Fields, principal: Principal): Json | undefined | Promise<Json | undefined>;
}

/** A service by its operations. */
export interface JsonServiceDefinition {
  readonly signingNames: readonly string[];
  /** What precedes the operation's name in `x-amz-target`. */
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly operations: Readonly<Record<string, JsonOperation>>;
  /** SQS answers the error codes of its old query protocol as well: code -> old code. */
  readonly queryErrors?: Readonly<Record<string, string>>;
}

/** The operation that `x-amz-target` names; AwsError `UnknownOperationException` when it is not the service's. */
export const targetOperation = (request: AwsRequest, target: string): string => {
  const header = request.headers['x-amz-target'] ?? '';
  if (!header.startsWith(`${target}.`)) {
    throw new AwsError('UnknownOperationException', `x-amz-target "${header}" is not an operation of ${target}`);
  }
  return header.slice(target.length + 1);
};

/** The refusal of an operation that exists in AWS but not here. */
export const notEmulated = (service: string, operation: string): AwsError =>
  new AwsError('UnknownOperationException', `The local cloud does not emulate ${service} ${operation}`, 400);

/** An error in AWS JSON. */
export const jsonError = (error: AwsError, version: '1.0' | '1.1', queryCode?: string): AwsResponse => ({
  status: error.status,
  headers: {
    'content-type': `application/x-amz-json-${version}`,
    'x-amzn-errortype': error.code,
    ...(queryCode === undefined
      ? {}
      : { 'x-amzn-query-error': `${queryCode};${error.status < 500 ? 'Sender' : 'Receiver'}` }),
  },
  body: JSON.stringify({ __type: error.code, message: error.message, Message: error.message }),
});

/** Builds the AwsService of a definition. Spec: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export const jsonService = (definition: JsonServiceDefinition): AwsService => ({
  signingNames: definition.signingNames,
  resolve(request) {
    const operation = targetOperation(request, definition.target);
    const found = Object.hasOwn(definition.operations, operation) ? definition.operations[operation] : undefined;
    if (found === undefined) throw notEmulated(definition.target, operation);
    const input = Fields.parse(request.body);
    return {
      operation,
      permissions: found.permissions(input),
      async execute(principal) {
        const output = await found.run(input, principal);
        return {
          headers: { 'content-type': `application/x-amz-json-${definition.version}` },
          body: JSON.stringify(output ?? {}),
        };
      },
    };
  },
  error: (error) => jsonError(error, definition.version, definition.queryErrors?.[error.code]),
});
