import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  AwsError,
  type AwsRequest,
  type AwsResponse,
  type AwsService,
  type Principal,
  type ResolvedCall,
} from '../cloud.ts';
import type { Roles } from '../iam/roles.ts';
import type { Caller } from '../lambda/functions.ts';
import { LOOPBACK } from '../runtime/ports.ts';
import { credentialScope } from './credentials.ts';
import type { Fault, FaultPlan } from './faults.ts';
import type { Trace } from './trace.ts';

/** A path below `/_wardline/` that is not AWS: control of the local cloud itself. */
export type ControlRoute = (request: AwsRequest) => Promise<AwsResponse | undefined> | AwsResponse | undefined;

/** What the endpoint needs to know. */
export interface EndpointSettings {
  readonly services: ReadonlyMap<string, AwsService>;
  readonly roles: Roles;
  readonly faults: FaultPlan;
  readonly trace: Trace;
  /** The caller with this access key and session token. */
  caller(accessKey: string, sessionToken: string | undefined): Caller | undefined;
  /** Tried in order for paths below `/_wardline/`. */
  readonly control: readonly ControlRoute[];
}

/** Services that answer a denied call with `AccessDeniedException` and status 400, as their JSON protocol has it. */
const DENIED_AS_EXCEPTION = new Set([
  'dynamodb',
  'kms',
  'secretsmanager',
  'states',
  'scheduler',
  'events',
  'logs',
  'lambda',
]);
const DENIED_CODES: Readonly<Record<string, string>> = {
  sns: 'AuthorizationError',
  iotdata: 'ForbiddenException',
  iotdevicegateway: 'ForbiddenException',
  iot: 'UnauthorizedException',
};

/**
 * The one HTTP endpoint that all functions call as AWS. The SigV4 credential scope tells which function calls which
 * service; the call is understood, authorized against the function's role, struck by the fault plan, and carried out.
 */
export class AwsEndpoint {
  readonly #settings: EndpointSettings;
  readonly #server: Server;

  constructor(settings: EndpointSettings) {
    this.#settings = settings;
    this.#server = createServer({ keepAlive: true, noDelay: true }, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
        response.end(String(error));
      });
    });
    // Functions keep their connections; the default of 5 s would close them between two check-ins.
    this.#server.keepAliveTimeout = 120_000;
    this.#server.requestTimeout = 0;
  }

  /** Begins to listen on this port. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, LOOPBACK, resolve);
    });
  }

  /** Closes the port and all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const request = await readRequest(incoming);
    if (request.path.startsWith('/_wardline/')) {
      write(outgoing, await this.#control(request));
      return;
    }
    const response = await this.#answer(request);
    if (response === undefined) {
      // Nobody answers: the caller waits until it gives up or dies.
      incoming.socket.unref();
      return;
    }
    write(outgoing, response, incoming.method === 'HEAD');
  }

  async #control(request: AwsRequest): Promise<AwsResponse> {
    for (const route of this.#settings.control) {
      const response = await route(request);
      if (response !== undefined) return response;
    }
    return { status: 404, body: 'not found' };
  }

  /** The answer to one AWS call; undefined when the fault plan says that none comes. */
  async #answer(request: AwsRequest): Promise<AwsResponse | undefined> {
    const started = performance.now();
    const scope = credentialScope(request);
    const service = scope === undefined ? undefined : this.#settings.services.get(scope.service);
    if (scope === undefined || service === undefined) {
      const what = scope === undefined ? 'the request is not signed' : `service ${scope.service} is not emulated`;
      return { status: 403, headers: { 'content-type': 'text/plain' }, body: what };
    }
    const caller = this.#settings.caller(scope.accessKey, scope.sessionToken);
    const note = { operation: 'unknown', caller, service: scope.service, started };
    if (caller === undefined) {
      const error = new AwsError(
        'UnrecognizedClientException',
        'The security token included in the request is invalid.',
        403,
      );
      return this.#failed(service, request, error, note);
    }
    let call: ResolvedCall;
    try {
      call = service.resolve(request);
      note.operation = call.operation;
      this.#authorize(caller, call, scope.service);
    } catch (error) {
      return this.#failed(service, request, error, note);
    }
    const fault = this.#settings.faults.strike(scope.service, call.operation, caller.functionName);
    if (fault?.when === 'before') return this.#struck(service, request, fault, note);
    try {
      const response = await call.execute(principalOf(caller));
      if (fault !== undefined) return this.#struck(service, request, fault, note);
      this.#record(note, response.status ?? 200, response.error, response.capacityUnits);
      return response;
    } catch (error) {
      return this.#failed(service, request, error, note);
    }
  }

  #authorize(caller: Caller, call: ResolvedCall, service: string): void {
    try {
      for (const permission of call.permissions) this.#settings.roles.authorize(caller, permission);
    } catch (error) {
      if (!(error instanceof AwsError) || error.code !== 'AccessDenied') throw error;
      if (DENIED_AS_EXCEPTION.has(service)) throw new AwsError('AccessDeniedException', error.message, 400);
      throw new AwsError(DENIED_CODES[service] ?? 'AccessDenied', error.message, 403);
    }
  }

  #struck(service: AwsService, request: AwsRequest, fault: Fault, note: Note): AwsResponse | undefined {
    if (fault.error === 'timeout' || fault.error === 'kill') {
      if (fault.error === 'kill') note.caller?.instance?.kill();
      this.#record(note, 0, fault.error, undefined, true);
      return undefined;
    }
    this.#record(note, fault.status, fault.error, undefined, true);
    return service.error(
      new AwsError(fault.error, 'Injected by the fault plan of the local cloud.', fault.status),
      request,
    );
  }

  #failed(service: AwsService, request: AwsRequest, error: unknown, note: Note): AwsResponse {
    const known =
      error instanceof AwsError
        ? error
        : new AwsError('InternalFailure', String(error instanceof Error ? error.stack : error), 500);
    this.#record(note, known.status, known.code);
    return service.error(known, request);
  }

  #record(note: Note, status: number, error?: string, units?: number, injected = false): void {
    const functionName = note.caller?.functionName;
    this.#settings.trace.record({
      time: new Date().toISOString(),
      ...(functionName === undefined ? {} : { function: functionName }),
      service: note.service,
      operation: note.operation,
      ...(units === undefined ? {} : { units }),
      ms: Math.round((performance.now() - note.started) * 100) / 100,
      status,
      ...(error === undefined ? {} : { error }),
      ...(injected ? { injected } : {}),
    });
  }
}

/** What the trace will say about a call. */
interface Note {
  operation: string;
  readonly caller: Caller | undefined;
  readonly service: string;
  readonly started: number;
}

function principalOf({ roleArn, functionName }: Caller): Principal {
  return functionName === undefined ? { roleArn } : { roleArn, functionName };
}

async function readRequest(incoming: IncomingMessage): Promise<AwsRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const url = incoming.url ?? '/';
  const mark = url.indexOf('?');
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(',') : value;
  }
  return {
    method: incoming.method ?? 'GET',
    path: mark === -1 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1)),
    headers,
    body: chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks),
  };
}

function write(outgoing: ServerResponse, response: AwsResponse, headOnly = false): void {
  const body = typeof response.body === 'string' ? Buffer.from(response.body) : (response.body ?? Buffer.alloc(0));
  const headers = { 'x-amzn-requestid': randomUUID(), ...response.headers };
  // The answer to HEAD names the length of what GET would bring.
  outgoing.writeHead(response.status ?? 200, headOnly ? headers : { ...headers, 'content-length': body.length });
  outgoing.end(headOnly ? undefined : body);
}
