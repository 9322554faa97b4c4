import { randomUUID, type X509Certificate } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { AwsError, type Cloud } from '../cloud.ts';
import { Notices } from '../runtime/notices.ts';
import { LOOPBACK } from '../runtime/ports.ts';
import { isTrusted } from './client-trust.ts';
import { type ClientCertificate, httpApiAnswer, httpApiEvent } from './http-event.ts';
import { type Answer, headerBytes, jsonAnswer, readIncoming, writeAnswer } from './incoming.ts';
import type { RouteTable } from './routes.ts';

/** Largest request line with headers, bytes. */
const HEADER_LIMIT = 10_240;
/** How long a function may take, ms. */
const INTEGRATION_LIMIT = 30_000;

/** A route of an HTTP API with the function behind it. */
export interface HttpRoute {
  readonly key: string;
  readonly functionArn: string;
}

/** An HTTP API. */
export interface HttpApi {
  readonly id: string;
  readonly name: string;
  readonly defaultEndpoint: boolean;
  readonly routes: RouteTable<HttpRoute>;
  fallback: HttpRoute | undefined;
  /** Name of the stage that is served. */
  stage: string | undefined;
}

/** A custom domain of an HTTP API. */
export interface HttpDomain {
  readonly name: string;
  /** PEM of the authorities whose client certificates are let in; undefined: none is asked for. */
  readonly truststore: string | undefined;
  api: HttpApi | undefined;
}

/** One HTTP API behind a port, as its clients see it. */
export interface HttpFront {
  readonly api: HttpApi;
  readonly domainName: string;
  readonly port: number;
  /** PEM of the authorities of client certificates; undefined: no client certificates. */
  readonly truststore: string | undefined;
}

/** Serves an HTTP API over TLS; returns the server, listening. */
export async function serveHttpApi(front: HttpFront, cloud: Cloud): Promise<Server> {
  const own = cloud.authority.serverCertificate(['localhost', front.domainName]);
  const server = createServer(
    {
      cert: own.certificatePem,
      key: own.privateKeyPem,
      minVersion: 'TLSv1.2',
      maxHeaderSize: 4 * HEADER_LIMIT,
      // Whom the truststore does not let in is cut off below, before it has asked anything: TLS knows the wall clock only.
      ...(front.truststore === undefined ? {} : { ca: front.truststore, requestCert: true, rejectUnauthorized: false }),
    },
    (request, response) => {
      const requestId = randomUUID();
      // API Gateway tells it with every answer, its own errors too.
      response.setHeader('apigw-requestid', requestId);
      answer(request, requestId, front, cloud).then(
        (result) => writeAnswer(response, result),
        (error: unknown) => fail(response, cloud, error),
      );
    },
  );
  const { truststore } = front;
  if (truststore !== undefined) {
    const notices = new Notices(cloud.log);
    server.prependListener('secureConnection', (socket: TLSSocket) => {
      // Node.js gives the code of OpenSSL, although it is typed as an error.
      const verdict = { authorized: socket.authorized, error: codeOf(socket.authorizationError) };
      const certificate = socket.getPeerX509Certificate();
      if (isTrusted(certificate, verdict, truststore, cloud.clock.now())) return;
      const what = certificate === undefined ? 'no certificate' : 'a certificate that its truststore does not let in';
      notices.tell(`${front.domainName}: a client was cut off in the TLS handshake: it sent ${what}`);
      socket.destroy();
    });
  }
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(front.port, LOOPBACK, resolve);
  });
  return server;
}

async function answer(request: IncomingMessage, requestId: string, front: HttpFront, cloud: Cloud): Promise<Answer> {
  if (headerBytes(request) > HEADER_LIMIT) return jsonAnswer(431, { message: 'Request Header Fields Too Large' });
  const incoming = await readIncoming(request);
  if (incoming === undefined) return jsonAnswer(413, { message: 'Request Entity Too Large' });
  const { api } = front;
  const match = api.routes.match(incoming.method, incoming.path);
  const route = match?.route ?? api.fallback;
  const { stage } = api;
  if (route === undefined || stage === undefined) return jsonAnswer(404, { message: 'Not Found' });
  const event = httpApiEvent(incoming, {
    account: cloud.account,
    apiId: api.id,
    domainName: front.domainName,
    stage,
    routeKey: route.key,
    pathParameters: match?.pathParameters ?? {},
    clientCertificate: front.truststore === undefined ? undefined : clientCertificate(request.socket as TLSSocket),
    requestId,
    now: cloud.clock.now(),
  });
  // API Gateway invokes on behalf of <api>/<stage>/<method>/<path> with the route's own spelling.
  const source = cloud.arn(
    'execute-api',
    `${api.id}/${stage}/${route.key === '$default' ? '$default' : route.key.replace(' ', '')}`,
  );
  cloud.authorizeInvoke(route.functionArn, 'apigateway.amazonaws.com', source);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Answer>((resolve) => {
    timer = setTimeout(() => resolve(jsonAnswer(503, { message: 'Service Unavailable' })), INTEGRATION_LIMIT);
  });
  try {
    return await Promise.race([invoke(route.functionArn, event, cloud), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function invoke(
  functionArn: string,
  event: Parameters<Cloud['functions']['invoke']>[1],
  cloud: Cloud,
): Promise<Answer> {
  try {
    const result = await cloud.functions.invoke(functionArn, event);
    return result.functionError === undefined
      ? httpApiAnswer(result.payload)
      : jsonAnswer(500, { message: 'Internal Server Error' });
  } catch (error) {
    if (error instanceof AwsError && error.status === 429) return jsonAnswer(503, { message: 'Service Unavailable' });
    if (error instanceof AwsError && error.status === 413)
      return jsonAnswer(413, { message: 'Request Entity Too Large' });
    throw error;
  }
}

function fail(response: ServerResponse, cloud: Cloud, error: unknown): void {
  if (response.destroyed || (error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) return;
  cloud.log.warn(`HTTP API: ${error instanceof Error ? error.message : String(error)}`);
  writeAnswer(response, jsonAnswer(500, { message: 'Internal Server Error' }));
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === 'string' ? error : error instanceof Error && 'code' in error ? String(error.code) : undefined;

const certificates = new WeakMap<TLSSocket, ClientCertificate>();

/** The certificate of the connection's client; it stays the same for all its requests. */
function clientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const known = certificates.get(socket);
  if (known !== undefined) return known;
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const shown: ClientCertificate = {
    clientCertPem: certificate.toString(),
    subjectDN: distinguishedName(certificate.subject),
    issuerDN: distinguishedName(certificate.issuer),
    serialNumber: (certificate.serialNumber.toLowerCase().match(/../g) ?? []).join(':'),
    validity: { notBefore: certificate.validFrom, notAfter: certificate.validTo },
  };
  certificates.set(socket, shown);
  return shown;
}

/** `CN=x,O=y`, the most specific part first (RFC 2253); Node.js gives one part a line, the most general first. */
function distinguishedName(lines: string): string {
  return lines.split('\n').reverse().join(',');
}
