import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  AwsError,
  type AwsRequest,
  type AwsService,
  type Clock,
  type Cloud,
  type CreatedResource,
  type DeliverOptions,
  type InvokeResult,
  type Json,
  type Part,
  type Permission,
  type Ports,
  type Principal,
  type ResourceType,
} from '../../../../local/cloud.ts';
import { runningClock } from '../../../../local/runtime/clock.ts';
import { memoryLog } from '../../../../local/runtime/log.ts';
import { type ClosableStore, openStore } from '../../../../local/runtime/store.ts';

/** What a test may set. */
export interface HarnessOptions {
  /** Folder that keeps the state; in memory without it. */
  readonly data?: string;
  readonly clock?: Clock;
}

/** A function of a test: what Lambda would run. */
export type TestFunction = (event: Json) => Json | Promise<Json>;

/** A small cloud around the parts under test, with an AWS endpoint for real SDK clients. */
export class Harness {
  readonly cloud: Cloud;
  readonly log = memoryLog();
  readonly functions = new Map<string, TestFunction>();
  /** Functions that have reached their concurrency. */
  readonly throttled = new Set<string>();
  readonly asynchronous: { readonly functionArn: string; readonly payload: Json }[] = [];
  /** Actions that no role may do. */
  readonly denied = new Set<string>();
  /** Resource policies by ARN. */
  readonly policies = new Map<string, Json>();
  /** All permissions that were asked for. */
  readonly asked: Permission[] = [];
  /** Capacity units by operation, as `--trace` would show them. */
  readonly units: {
    readonly operation: string;
    readonly units: number | undefined;
    readonly error: string | undefined;
  }[] = [];
  readonly #parts: readonly Part[];
  readonly #store: ClosableStore;
  readonly #server: Server;
  readonly #clock: (Clock & { stop?(): void }) | undefined;
  readonly #targets = new Map<string, (arn: string, message: Json, options: DeliverOptions) => Promise<void>>();

  private constructor(parts: readonly Part[], options: HarnessOptions, server: Server) {
    this.#parts = parts;
    this.#server = server;
    this.#store = openStore(options.data === undefined ? undefined : `${options.data}/store.sqlite`);
    const clock: Clock & { stop?(): void } = options.clock ?? runningClock(Date.now(), 1);
    this.#clock = clock;
    this.cloud = {
      account: '000000000000',
      region: 'us-east-1',
      clock,
      store: this.#store,
      log: this.log,
      data: options.data,
      ports: { api: 0, device: 0, enroll: 0, mqtt: 0, issuer: 0, aws: this.port, dynamodb: 0 } satisfies Ports,
      authority: {
        certificatePem: '',
        certificateFile: '',
        serverCertificate: () => {
          throw new Error('no TLS in this test');
        },
      },
      functions: {
        invoke: (functionArn, payload) => this.#invoke(functionArn, payload),
        invokeAsync: (functionArn, payload) => {
          this.asynchronous.push({ functionArn, payload });
        },
        role: (functionArn) => `arn:aws:iam::000000000000:role/${functionArn.split(':').at(-1)}`,
      },
      arn: (service, resource) =>
        service === 's3' ? `arn:aws:s3:::${resource}` : `arn:aws:${service}:us-east-1:000000000000:${resource}`,
      physicalName: ({ stackName, logicalId }) => `${stackName}-${logicalId}`,
      authorize: (principal, permission) => this.#authorize(principal, permission),
      authorizeInvoke: () => undefined,
      resourcePolicy: (resourceArn, document) => {
        this.policies.set(resourceArn, document);
      },
      deliver: async (targetArn, message, deliverOptions) => {
        const target = this.#targets.get(targetArn.split(':')[2] ?? '');
        if (target === undefined) throw new Error(`no target ${targetArn}`);
        await target(targetArn, message, deliverOptions ?? {});
      },
      registerTarget: (service, deliver) => {
        this.#targets.set(service, deliver);
      },
      request: async (signingName, request) =>
        await this.#service(signingName).resolve(request).execute({ roleArn: 'arn:aws:iam::000000000000:role/cloud' }),
      assetPath: () => undefined,
    };
  }

  /** Attaches the parts; add resources with `create`, then call `start`. */
  static async open(parts: readonly Part[], options: HarnessOptions = {}): Promise<Harness> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const harness = new Harness(parts, options, server);
    server.on('request', (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('end', async () => {
        const url = new URL(incoming.url ?? '/', 'http://127.0.0.1');
        const path = (incoming.url ?? '/').split('?')[0] ?? '/';
        const headers = Object.fromEntries(
          Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
        );
        const request: AwsRequest = {
          method: incoming.method ?? 'GET',
          path,
          query: url.searchParams,
          headers,
          body: Buffer.concat(chunks),
        };
        const response = await harness.#answer(request);
        const body = Buffer.from(response.body ?? '');
        outgoing.writeHead(response.status ?? 200, {
          ...(incoming.method === 'HEAD' ? {} : { 'content-length': body.length }),
          ...response.headers,
        });
        outgoing.end(incoming.method === 'HEAD' ? undefined : body);
      });
    });
    for (const part of parts) await part.attach?.(harness.cloud);
    return harness;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Configuration for an SDK client. */
  get client(): {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
    readonly maxAttempts: number;
  } {
    return {
      endpoint: `http://127.0.0.1:${this.port}`,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    };
  }

  /** Creates a resource of the template. */
  async create(type: string, logicalId: string, properties: Record<string, Json>): Promise<CreatedResource> {
    const resourceType = this.#resourceType(type);
    return await resourceType.create({ stackName: 'Test', logicalId, type, properties }, this.cloud);
  }

  async start(): Promise<void> {
    for (const part of this.#parts) await part.start?.();
  }

  async close(): Promise<void> {
    for (const part of [...this.#parts].reverse()) await part.stop?.();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    this.#clock?.stop?.();
    this.#store.close();
  }

  /** Sends a message to a target as a part of the cloud would. */
  async deliver(targetArn: string, message: Json, options?: DeliverOptions): Promise<void> {
    await this.cloud.deliver(targetArn, message, options);
  }

  #resourceType(type: string): ResourceType {
    for (const part of this.#parts)
      for (const resource of part.resources ?? []) if (resource.type === type) return resource;
    throw new Error(`no resource type ${type}`);
  }

  #service(signingName: string): AwsService {
    for (const part of this.#parts) {
      for (const service of part.services ?? []) if (service.signingNames.includes(signingName)) return service;
    }
    throw new Error(`no service ${signingName}`);
  }

  async #answer(request: AwsRequest) {
    const scope = /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\//.exec(
      request.headers['authorization'] ?? `Credential=${request.query.get('X-Amz-Credential')}`,
    );
    const service = this.#service(scope?.[1] ?? '');
    const principal: Principal = { roleArn: 'arn:aws:iam::000000000000:role/test', functionName: 'test' };
    try {
      const call = service.resolve(request);
      for (const permission of call.permissions) this.#authorize(principal, permission);
      const response = await call.execute(principal);
      this.units.push({ operation: call.operation, units: response.capacityUnits, error: response.error });
      return response;
    } catch (error) {
      const known =
        error instanceof AwsError ? error : new AwsError('InternalFailure', String((error as Error).stack), 500);
      return service.error(known, request);
    }
  }

  #authorize(_principal: Principal, permission: Permission): void {
    this.asked.push(permission);
    if (this.denied.has(permission.action)) {
      throw new AwsError('AccessDeniedException', `not authorized to perform: ${permission.action}`, 400);
    }
  }

  async #invoke(functionArn: string, payload: Json): Promise<InvokeResult> {
    const name = functionArn.split(':').at(-1) ?? '';
    const run = this.functions.get(name);
    if (run === undefined || this.throttled.has(name))
      throw new AwsError('TooManyRequestsException', 'Rate Exceeded.', 429);
    try {
      return { payload: await run(payload) };
    } catch (error) {
      return { payload: { errorMessage: String(error) }, functionError: 'Unhandled' };
    }
  }
}

/** Resolves when `condition` gives something; checks again after each turn of the event loop. */
export const eventually = async <T>(condition: () => T | undefined | false, limit = 60_000): Promise<T> => {
  const until = Date.now() + limit;
  for (;;) {
    const value = condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > until) throw new Error(`not within ${limit} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};
