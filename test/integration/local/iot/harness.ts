import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import {
  AwsError,
  type AwsResponse,
  type Cloud,
  type CreatedResource,
  type InvokeResult,
  type Json,
  type Permission,
} from '../../../../local/cloud.ts';
import { createIot, type Iot } from '../../../../local/iot/index.ts';
import { iotResources } from '../../../../local/iot/resources.ts';
import { localAuthority } from '../../../../local/runtime/authority.ts';
import { type ClosableStore, openStore } from '../../../../local/runtime/store.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const ACCOUNT = '000000000000';
const REGION = 'us-east-1';
/** A role of the tests that may do everything that is not denied. */
export const ROLE = `arn:aws:iam::${ACCOUNT}:role/test`;

/** A key and a certificate that a device presents. */
export interface Identity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly id: string;
}

/** What a function answers. It may throw, which is the function's error. */
export type TestFunction = (payload: Json) => Promise<Json> | Json;

/** IoT alone, on an ephemeral port, with everything around it recorded. */
export interface Harness {
  readonly iot: Iot;
  readonly port: number;
  readonly caPem: string;
  readonly caFile: string;
  /** Asynchronous invocations and deliveries, in order. */
  readonly invocations: { functionArn: string; payload: Json }[];
  readonly deliveries: { targetArn: string; message: Json }[];
  readonly warnings: string[];
  /** `action resource` of every check that was made. */
  readonly checks: string[];
  /** Actions that `authorize` refuses. */
  readonly denied: Set<string>;
  readonly functions: Map<string, TestFunction>;
  /** Moves the cloud's clock and runs what is due. */
  advance(milliseconds: number): void;
  now(): number;
  resource(type: string, logicalId: string, properties: Record<string, Json>): Promise<CreatedResource>;
  /** Calls the control or data plane as a signed request would. Returns the parsed body. */
  call(plane: 'control' | 'data', method: string, pathAndQuery: string, options?: CallOptions): Promise<Json>;
  /** Permissions that a call would need. */
  permissions(
    plane: 'control' | 'data',
    method: string,
    pathAndQuery: string,
    options?: CallOptions,
  ): readonly Permission[];
  /** Makes a certificate and registers it ACTIVE, with policies and an exclusive thing where given. */
  device(options?: {
    thing?: string;
    policies?: readonly string[];
    subject?: string;
    days?: number;
  }): Promise<Identity>;
  connect(identity: Identity | undefined, options?: IClientOptions): Promise<MqttClient>;
  /** Waits until the condition holds; fails after 5 s with what was expected. */
  eventually(expected: string, condition: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly body?: Json | Buffer;
  readonly headers?: Record<string, string>;
}

/** Starts IoT. With the store of another harness it is a restart with `--data`. */
export async function startIot(
  options: { store?: ClosableStore; resources?: (harness: Harness) => Promise<void> } = {},
): Promise<Harness & { readonly store: ClosableStore }> {
  const folder = mkdtempSync(join(tmpdir(), 'wardline-iot-'));
  const store = options.store ?? openStore();
  const clients: MqttClient[] = [];
  const timers = new Set<{ at: number; run: () => void }>();
  let offset = 0;
  const now = (): number => Date.now() + offset;
  const harness = {
    invocations: [] as { functionArn: string; payload: Json }[],
    deliveries: [] as { targetArn: string; message: Json }[],
    warnings: [] as string[],
    checks: [] as string[],
    denied: new Set<string>(),
    functions: new Map<string, TestFunction>(),
  };
  const check = (action: string, resource: string): void => {
    harness.checks.push(`${action} ${resource}`);
    if (harness.denied.has(action)) throw new AwsError('AccessDenied', `not authorized to perform ${action}`, 403);
  };
  const authority = localAuthority(store, join(folder, 'ca.pem'));
  const unused = (what: string) => (): never => {
    throw new Error(`IoT does not use ${what}`);
  };
  const cloud: Cloud = {
    account: ACCOUNT,
    region: REGION,
    data: undefined,
    store,
    authority,
    ports: { api: 0, device: 0, enroll: 0, mqtt: 0, issuer: 0, aws: 0, dynamodb: 0 },
    log: { info: () => undefined, warn: (message) => harness.warnings.push(message) },
    clock: {
      now,
      at(at, run) {
        const timer = { at, run };
        timers.add(timer);
        return () => timers.delete(timer);
      },
    },
    functions: {
      async invoke(functionArn, payload): Promise<InvokeResult> {
        const run = harness.functions.get(functionArn);
        if (run === undefined) throw new AwsError('ResourceNotFoundException', `No function ${functionArn}`, 404);
        try {
          return { payload: await run(payload) };
        } catch (error) {
          return { payload: { errorMessage: String(error) }, functionError: 'Unhandled' };
        }
      },
      role: () => ROLE,
      invokeAsync: (functionArn, payload) => harness.invocations.push({ functionArn, payload }),
    },
    arn: (service, resource) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`,
    physicalName: (resource) => `${resource.stackName}-${resource.logicalId}`,
    authorize: (_principal, { action, resource }) => check(action, resource),
    authorizeInvoke: (functionArn, service, sourceArn) =>
      check(`invoke by ${service}`, `${functionArn} for ${sourceArn}`),
    async deliver(targetArn, message) {
      harness.deliveries.push({ targetArn, message });
    },
    registerTarget: unused('registerTarget'),
    resourcePolicy: unused('resourcePolicy'),
    request: unused('request'),
    assetPath: unused('assetPath'),
  };
  const iot = createIot(cloud);
  const types = iotResources(() => iot);

  const request = (
    plane: 'control' | 'data',
    method: string,
    pathAndQuery: string,
    { body, headers = {} }: CallOptions = {},
  ) => {
    const url = new URL(`http://aws${pathAndQuery}`);
    return iot[plane].resolve({
      method,
      path: url.pathname,
      query: url.searchParams,
      headers,
      body: Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body)),
    });
  };
  const parse = ({ body }: AwsResponse): Json =>
    body === undefined || body.length === 0 ? null : (JSON.parse(body.toString()) as Json);

  let port = 0;
  const running: Harness & { readonly store: ClosableStore } = {
    ...harness,
    store,
    iot,
    get port() {
      return port;
    },
    caPem: authority.certificatePem,
    caFile: authority.certificateFile,
    now,
    advance(milliseconds) {
      offset += milliseconds;
      for (const timer of [...timers].sort((left, right) => left.at - right.at)) {
        if (timer.at <= now() && timers.delete(timer)) timer.run();
      }
    },
    async resource(type, logicalId, properties) {
      const known = types.find((candidate) => candidate.type === type);
      if (known === undefined) throw new Error(`No resource type ${type}`);
      return known.create({ stackName: 'Test', logicalId, type, properties }, cloud);
    },
    call: async (plane, method, pathAndQuery, callOptions) =>
      parse(await request(plane, method, pathAndQuery, callOptions).execute({ roleArn: ROLE })),
    permissions: (plane, method, pathAndQuery, callOptions) =>
      request(plane, method, pathAndQuery, callOptions).permissions,
    async device({ thing, policies = [], subject = `CN=${thing ?? 'device'}`, days = 1 } = {}) {
      const identity = await makeIdentity(subject, days);
      iot.registry.registerCertificate(identity.certificatePem, 'ACTIVE', { mode: 'SNI_ONLY' });
      if (thing !== undefined) {
        iot.registry.createThing(thing, undefined, {});
        iot.registry.attachThing(identity.id, thing, 'EXCLUSIVE_THING');
      }
      for (const policy of policies) iot.registry.attachPolicy(identity.id, policy);
      return identity;
    },
    async connect(identity, connectOptions = {}) {
      const client = connect(`mqtts://localhost:${port}`, {
        ca: authority.certificatePem,
        ...(identity === undefined ? {} : { cert: identity.certificatePem, key: identity.privateKeyPem }),
        protocolVersion: 4,
        reconnectPeriod: 0,
        ...connectOptions,
      });
      clients.push(client);
      await new Promise<void>((resolve, reject) => {
        client.once('connect', () => resolve());
        client.on('error', reject);
        client.once('close', () => reject(new Error('The connection was closed')));
      });
      return client;
    },
    async eventually(expected, condition) {
      const end = Date.now() + 60_000;
      while (!condition()) {
        if (Date.now() > end) throw new Error(`Never happened: ${expected}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    async stop() {
      await Promise.all(clients.map((client) => client.endAsync(true)));
      iot.provisioning.stop();
      await iot.broker.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  // As the local cloud does: resources first, then the broker listens.
  await options.resources?.(running);
  iot.provisioning.start();
  port = await iot.broker.start(0);
  return running;
}

/** A self-signed certificate: IoT asks nobody's authority for what is registered without its CA. */
export async function makeIdentity(subject: string, days = 1): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: subject,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + days * 86_400_000),
      keys,
      signingAlgorithm: ALGORITHM,
    },
    webcrypto,
  );
  return {
    certificatePem: certificate.toString('pem'),
    privateKeyPem: x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
    id: Buffer.from(await certificate.getThumbprint('SHA-256', webcrypto)).toString('hex'),
  };
}

/** A certificate signing request in PEM and its key. */
export async function makeRequest(subject: string): Promise<{ csrPem: string; privateKeyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: subject, keys, signingAlgorithm: ALGORITHM },
    webcrypto,
  );
  return {
    csrPem: request.toString('pem'),
    privateKeyPem: x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'),
  };
}

/** Messages that a client received, as they come. */
export function received(client: MqttClient): { topic: string; payload: string; qos: number }[] {
  const messages: { topic: string; payload: string; qos: number }[] = [];
  client.on('message', (topic, payload, packet) =>
    messages.push({ topic, payload: payload.toString(), qos: packet.qos }),
  );
  return messages;
}

const THING = '$' + '{iot:Connection.Thing.ThingName}';

/** The policy of a device: its own topics and nothing else. */
export const DEVICE_POLICY: Json = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 'iot:Connect',
      Resource: `arn:aws:iot:us-east-1:000000000000:client/${THING}`,
      Condition: { Bool: { 'iot:Connection.Thing.IsAttached': 'true' } },
    },
    {
      Effect: 'Allow',
      Action: 'iot:Publish',
      Resource: [
        `arn:aws:iot:us-east-1:000000000000:topic/wardline/${THING}/checkin`,
        `arn:aws:iot:us-east-1:000000000000:topic/$aws/rules/wardline_checkin/wardline/${THING}/checkin`,
      ],
    },
    {
      Effect: 'Allow',
      Action: 'iot:Subscribe',
      Resource: `arn:aws:iot:us-east-1:000000000000:topicfilter/wardline/${THING}/*`,
    },
    {
      Effect: 'Allow',
      Action: 'iot:Receive',
      Resource: `arn:aws:iot:us-east-1:000000000000:topic/wardline/${THING}/*`,
    },
  ],
};

/** Everything, for what is tested apart from policies. */
export const OPEN_POLICY: Json = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
};
