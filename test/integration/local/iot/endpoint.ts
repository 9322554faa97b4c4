import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AwsError, type AwsResponse } from '../../../../local/cloud.ts';
import type { Iot } from '../../../../local/iot/index.ts';
import { ROLE } from './harness.ts';

/** An HTTP server in front of both IoT services, for the AWS SDK. */
export interface Endpoint {
  /** Configuration for SDK clients. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly maxAttempts: number;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  stop(): Promise<void>;
}

/** Serves the services as the local cloud's endpoint does, without signatures and permissions. */
export async function serveEndpoint(iot: Iot): Promise<Endpoint> {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const url = new URL(incoming.url ?? '/', 'http://aws');
    const scope = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(incoming.headers.authorization ?? '')?.[1] ?? '';
    const service = [iot.control, iot.data].find((candidate) => candidate.signingNames.includes(scope));
    const request = {
      method: incoming.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])),
      body: Buffer.concat(chunks),
    };
    let response: AwsResponse;
    try {
      if (service === undefined) throw new AwsError('UnknownService', scope, 404);
      response = await service.resolve(request).execute({ roleArn: ROLE });
    } catch (error) {
      response =
        error instanceof AwsError && service !== undefined
          ? service.error(error, request)
          : { status: 500, body: JSON.stringify({ message: String(error) }) };
    }
    outgoing.writeHead(response.status ?? 200, response.headers).end(response.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    client: {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: 'us-east-1',
      maxAttempts: 1,
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
