import type { AwsRequest, AwsResponse, AwsService, Json, Permission, Principal, ResolvedCall } from '../cloud.ts';
import { errorResponse, iotErrors } from './errors.ts';

/** What an operation gets: labels of the path, the query, and the members of a JSON body. */
export interface OperationInput {
  readonly labels: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON body's members; empty when the operation takes raw bytes. */
  readonly members: Readonly<Record<string, Json>>;
  readonly body: Buffer;
}

/** One operation of a REST-JSON service. */
export interface Operation {
  readonly name: string;
  readonly method: string;
  /** e.g. `/things/{thingName}/principals` */
  readonly path: string;
  readonly query?: readonly string[];
  /** Members of the JSON body; undefined when the body is raw bytes or absent. */
  readonly members?: readonly string[];
  permissions(input: OperationInput): readonly Permission[];
  execute(input: OperationInput, principal: Principal): Promise<Json | undefined> | Json | undefined;
}

interface Route {
  readonly operation: Operation;
  readonly segments: readonly string[];
}

/** Query parameters that the endpoint adds to any operation and that change nothing. */
const IGNORED_QUERY = new Set(['x-id']);

/** A service that answers these operations, and refuses every other one and every parameter that they do not name. */
export function restService(signingNames: readonly string[], operations: readonly Operation[]): AwsService {
  const routes: Route[] = operations.map((operation) => ({ operation, segments: operation.path.split('/') }));
  return {
    signingNames,
    resolve: (request) => resolve(routes, request),
    error: errorResponse,
  };
}

function resolve(routes: readonly Route[], request: AwsRequest): ResolvedCall {
  const segments = request.path.split('/');
  for (const { operation, segments: wanted } of routes) {
    if (operation.method !== request.method) continue;
    const labels = match(wanted, segments);
    if (labels === undefined) continue;
    const input = read(operation, labels, request);
    return {
      operation: operation.name,
      permissions: operation.permissions(input),
      async execute(principal): Promise<AwsResponse> {
        const output = await operation.execute(input, principal);
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: output === undefined ? '' : JSON.stringify(output),
        };
      },
    };
  }
  throw iotErrors.invalid(`${request.method} ${request.path} is not emulated by the local cloud`);
}

function match(wanted: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (wanted.length !== segments.length) return undefined;
  const labels: Record<string, string> = {};
  for (const [index, want] of wanted.entries()) {
    const segment = segments[index] ?? '';
    if (want.startsWith('{')) {
      if (segment === '') return undefined;
      labels[want.slice(1, -1)] = decode(segment);
    } else if (want !== segment) return undefined;
  }
  return labels;
}

function read(operation: Operation, labels: Record<string, string>, request: AwsRequest): OperationInput {
  const query: Record<string, string> = {};
  for (const [name, value] of request.query) {
    if (IGNORED_QUERY.has(name)) continue;
    if (!operation.query?.includes(name))
      throw iotErrors.invalid(`${operation.name}: ${name} is not emulated by the local cloud`);
    query[name] = value;
  }
  return { labels, query, headers: request.headers, members: readMembers(operation, request.body), body: request.body };
}

function readMembers(operation: Operation, body: Buffer): Record<string, Json> {
  if (operation.members === undefined || body.length === 0) return {};
  let parsed: Json;
  try {
    parsed = JSON.parse(body.toString('utf8')) as Json;
  } catch {
    throw iotErrors.invalid(`${operation.name}: the body is not JSON`);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw iotErrors.invalid(`${operation.name}: the body is not a JSON object`);
  }
  for (const name of Object.keys(parsed)) {
    if (!operation.members.includes(name))
      throw iotErrors.invalid(`${operation.name}: ${name} is not emulated by the local cloud`);
  }
  return parsed;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw iotErrors.invalid(`Invalid percent-encoding: ${segment}`);
  }
}

/** A label of the path. */
export function label(input: OperationInput, name: string): string {
  const value = input.labels[name];
  if (value === undefined) throw iotErrors.invalid(`${name} is missing`);
  return value;
}

/** A string member of the body that must be there. */
export function member(input: OperationInput, name: string): string {
  const value = optionalMember(input, name);
  if (value === undefined) throw iotErrors.invalid(`${name} is missing`);
  return value;
}

/** A string member of the body. */
export function optionalMember(input: OperationInput, name: string): string | undefined {
  const value = input.members[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw iotErrors.invalid(`${name} must be a string`);
  return value;
}

/** A header that must be there. */
export function header(input: OperationInput, name: string): string {
  const value = input.headers[name];
  if (value === undefined || value === '') throw iotErrors.invalid(`Header ${name} is missing`);
  return value;
}

/** A boolean of the query; false when absent. */
export function flag(input: OperationInput, name: string): boolean {
  const value = input.query[name];
  if (value === undefined || value === 'false') return false;
  if (value === 'true') return true;
  throw iotErrors.invalid(`${name} must be true or false`);
}

/** A whole number of the query within limits. */
export function integer(input: OperationInput, name: string, least: number, most: number): number | undefined {
  const value = input.query[name];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < least || number > most) {
    throw iotErrors.invalid(`${name} must be a whole number from ${least} to ${most}`);
  }
  return number;
}
