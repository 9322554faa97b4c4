import type * as v from 'valibot';
import type { Caller } from '../identity/caller.ts';
import { problems } from './problem.ts';

/**
 * What one operation of the API takes and gives. Handlers validate with it, and the OpenAPI document is made from it:
 * the two cannot disagree. Pure data, kept in the `operations.ts` of its concept.
 */
export interface OperationSpec<Body = unknown, Query = unknown> {
  /** One line for lists of operations. */
  readonly summary: string;
  /** More, in Markdown, where the one line is not all. */
  readonly description?: string;
  /** The chapter of the documentation that it belongs to. */
  readonly tag: string;
  /** Schema of a JSON body. */
  readonly body?: v.GenericSchema<unknown, Body>;
  /** A body that is not JSON, read as bytes. */
  readonly file?: FileSpec;
  /** Schema of the query parameters together: an object whose members arrive as strings. */
  readonly query?: v.GenericSchema<unknown, Query>;
  readonly answer: AnswerSpec;
  /** Other ways in which it succeeds, each with a status of its own. */
  readonly also?: readonly AnswerSpec[];
  /** The JSON body may be left out, and is then `{}`. */
  readonly bodyOptional?: true;
  /** The client must send `If-Match` (428 without, 412 when the resource was changed). */
  readonly conditional?: true;
  /** The client may send `Idempotency-Key`: the same key gives the same resource again. */
  readonly idempotencyKey?: true;
  /** Statuses of problems beyond 400, 401, 403, 404 (with a path parameter), 412 and 428 (with `conditional`), 500 and 503. */
  readonly problems?: readonly number[];
}

/** An uploaded file. */
export interface FileSpec {
  readonly mediaTypes: readonly string[];
  readonly limitBytes: number;
}

/** What success looks like. */
export interface AnswerSpec {
  readonly status: 200 | 201 | 202 | 204;
  readonly description: string;
  readonly schema?: v.GenericSchema;
  /** The answer carries an `ETag` for `If-Match`. */
  readonly etag?: true;
  /** The answer carries a `Location`. */
  readonly location?: true;
  /** When the answer is not JSON. */
  readonly mediaType?: string;
}

/** A request whose caller is known and whose input has been validated. */
export interface ApiRequest<Body, Query> {
  readonly caller: Caller;
  /** Path parameters by name; each one is an id by its form. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** The bytes and media type of a file; empty for operations without `file`. */
  readonly file: { readonly bytes: Buffer; readonly mediaType: string };
  /** The version that the client has seen, for operations with `conditional`. */
  readonly ifMatch: number | 'any';
  /** Present only when the operation takes one and the client sent one. */
  readonly idempotencyKey?: string;
  /** Our clock when the request arrived. */
  readonly receivedAt: Date;
}

/** What a handler answers. */
export interface ApiResponse {
  /** One of `also`. @default the status of the specification's answer */
  readonly status?: AnswerSpec['status'];
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A path parameter; API Gateway gives it whenever the route has it. */
export function parameter(path: Readonly<Record<string, string>>, name: string): string {
  const value = path[name];
  if (value === undefined) throw problems.notFound('There is nothing with this id.');
  return value;
}
