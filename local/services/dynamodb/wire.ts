import { Agent, request } from 'node:http';
import { AwsError, type Json } from '../../cloud.ts';
import { isObject, type JsonObject } from '../fields.ts';

/** An answer of DynamoDB Local, unparsed. */
export interface RawAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** DynamoDB Local names the region in ARNs so, whatever region is asked for. */
export const LOCAL_REGION = 'ddblocal';

/** DynamoDB Local wants a signature but does not check it. */
const AUTHORIZATION =
  'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0';

/** Speaks to DynamoDB Local over connections that are kept open. */
export class DynamoDbClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(port: number) {
    this.#port = port;
  }

  /** Passes a request body on as it is. `target` is `x-amz-target`. */
  forward(target: string, body: Buffer | string): Promise<RawAnswer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: this.#port,
          method: 'POST',
          agent: this.#agent,
          headers: {
            'content-type': 'application/x-amz-json-1.0',
            'content-length': Buffer.byteLength(body),
            'x-amz-target': target,
            authorization: AUTHORIZATION,
          },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('end', () => resolve({ status: incoming.statusCode ?? 500, body: Buffer.concat(chunks) }));
          incoming.on('error', reject);
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  /** Makes a call of our own; throws AwsError with the code that DynamoDB Local answers. */
  async call(target: string, input: JsonObject): Promise<JsonObject> {
    const answer = await this.forward(target, JSON.stringify(input));
    const text = answer.body.toString();
    const output = (text === '' ? {} : JSON.parse(text)) as Json;
    if (!isObject(output)) throw new AwsError('InternalServerError', 'DynamoDB Local answered no object', 500);
    if (answer.status === 200) return output;
    const code =
      String(output['__type'] ?? 'InternalServerError')
        .split('#')
        .at(-1) ?? 'InternalServerError';
    throw new AwsError(code, String(output['message'] ?? output['Message'] ?? code), answer.status);
  }

  close(): void {
    this.#agent.destroy();
  }
}
