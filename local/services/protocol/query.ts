import { randomUUID } from 'node:crypto';
import { AwsError, type AwsRequest, type AwsResponse } from '../../cloud.ts';
import { type XmlElements, xmlDocument } from './xml.ts';

/** The form fields of a request in the AWS query protocol: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export class QueryInput {
  readonly #fields: URLSearchParams;

  constructor(request: AwsRequest) {
    this.#fields = new URLSearchParams(request.method === 'GET' ? request.query : request.body.toString());
  }

  optional(name: string): string | undefined {
    return this.#fields.get(name) ?? undefined;
  }

  text(name: string): string {
    const value = this.optional(name);
    if (value === undefined) throw new AwsError('MissingParameter', `The request must contain the parameter ${name}.`);
    return value;
  }

  /** How many members a list has: fields `<name>.member.1...`, or `<name>.entry.1...` of a map. */
  count(prefix: string): number {
    const numbers = [...this.#fields.keys()].flatMap((name) => {
      const number = name.startsWith(`${prefix}.`) ? Number(name.slice(prefix.length + 1).split('.')[0]) : Number.NaN;
      return Number.isInteger(number) && number > 0 ? [number] : [];
    });
    return Math.max(0, ...numbers);
  }
}

/** A successful answer. */
export const queryResult = (operation: string, namespace: string, elements: XmlElements): AwsResponse => ({
  headers: { 'content-type': 'text/xml' },
  body: xmlDocument(`${operation}Response`, namespace, {
    [`${operation}Result`]: elements,
    ResponseMetadata: { RequestId: randomUUID() },
  }),
});

/** An error. */
export const queryError = (error: AwsError, namespace: string): AwsResponse => ({
  status: error.status,
  headers: { 'content-type': 'text/xml' },
  body: xmlDocument('ErrorResponse', namespace, {
    Error: { Type: error.status < 500 ? 'Sender' : 'Receiver', Code: error.code, Message: error.message },
    RequestId: randomUUID(),
  }),
});
