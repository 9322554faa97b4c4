import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
  X509Certificates,
} from '@peculiar/x509';
import { Aedes } from 'aedes';
import { deviceIdOf } from '../../shared/devices/device.ts';
import type { CheckInMessage, CommandResult } from '../../shared/protocols/agent/messages.ts';

/** A command that the test has queued. */
export interface QueuedCommand {
  readonly id: string;
  readonly type: string;
  readonly parameters: Record<string, unknown>;
  readonly expiresAt: string;
}

/**
 * The server side of the agent protocol, just enough to hold a device against: EST with a certificate authority of its
 * own, check-in over HTTPS and MQTT, a queue of commands for each device that hands each out until it has a result.
 */
export interface TestService {
  readonly enroll: string;
  readonly device: string;
  readonly mqtt: string;
  /** PEM */
  readonly ca: string;
  readonly token: string;
  /** All check-ins, in order. */
  readonly checkIns: {
    readonly deviceId: string;
    readonly channel: 'mqtt' | 'https';
    readonly serial: string;
    readonly message: CheckInMessage;
  }[];
  /** Results as they were reported, repeated ones included. */
  readonly results: CommandResult[];
  /** Serial numbers (hex) of the certificates issued. */
  readonly issued: string[];
  /** Requests that were enrolled or asked to be, base64. */
  readonly requests: string[];
  /** Drops the answer to the next enrolments, after the certificate was issued. */
  loseEnrolments(count: number): void;
  /** Queues a command and wakes the device. */
  queue(deviceId: string, command: { id: string; type: string; parameters?: Record<string, unknown> }): void;
  /** Drops the reply to the next check-ins, as a bad network would. */
  loseReplies(count: number): void;
  /** Answers the next check-ins with this problem. */
  refuse(status: number, count: number): void;
  /** Certificates issued from now on: how long they are valid yet, and how long they have been. */
  certificateSeconds: number;
  certificateAge: number;
  nextCheckInSeconds: number;
  /** Resolves when `condition` holds; it is looked at after each check-in and connection. */
  until(condition: () => boolean): Promise<void>;
  readonly connected: ReadonlySet<string>;
  stop(): Promise<void>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Starts the service on free ports of loopback. */
export async function startService(): Promise<TestService> {
  const authority = await makeAuthority();
  const { ca } = authority;
  const queues = new Map<string, QueuedCommand[]>();
  const checks = new Set<() => void>();
  const connected = new Set<string>();
  let lost = 0;
  let lostEnrolments = 0;
  let refusals = { status: 0, left: 0 };
  const happened = (): void => {
    for (const check of checks) check();
  };

  const service = {
    ca,
    token: 'wle_test',
    checkIns: [] as TestService['checkIns'][number][],
    results: [] as CommandResult[],
    issued: authority.issued,
    requests: [] as string[],
    loseEnrolments: (count: number): void => {
      lostEnrolments = count;
    },
    certificateSeconds: 3_600,
    certificateAge: 1,
    nextCheckInSeconds: 3_600,
    connected,
  };

  const checkIn = (
    deviceId: string,
    channel: 'mqtt' | 'https',
    serial: string,
    text: string,
  ): { status: number; body: string } | undefined => {
    const message = JSON.parse(text) as CheckInMessage;
    const token = message.clientToken === undefined ? {} : { clientToken: message.clientToken };
    if (refusals.left > 0) {
      refusals.left -= 1;
      const { status } = refusals;
      return {
        status,
        body: JSON.stringify({ ...token, type: '/problems/test', title: 'Refused by the test', status }),
      };
    }
    service.checkIns.push({ deviceId, channel, serial, message });
    const open = queues.get(deviceId) ?? [];
    for (const result of message.results ?? []) {
      service.results.push(result);
      if (result.status !== 'deferred') {
        const index = open.findIndex(({ id }) => id === result.commandId);
        if (index !== -1) open.splice(index, 1);
      }
    }
    happened();
    if (lost > 0) {
      lost -= 1;
      return undefined;
    }
    const reply = {
      ...token,
      serverTime: new Date().toISOString(),
      nextCheckInSeconds: service.nextCheckInSeconds,
      commands: open,
      desiredVersion: 0,
    };
    return { status: 200, body: JSON.stringify(reply) };
  };

  const enroll = createHttpsServer(
    { key: authority.serverKey, cert: authority.serverCertificate },
    (request, response) => {
      void (async () => {
        const body = await read(request);
        const credentials = Buffer.from(
          (request.headers.authorization ?? '').replace('Basic ', ''),
          'base64',
        ).toString();
        if (request.url !== '/.well-known/est/simpleenroll' || credentials.split(':')[1] !== service.token) {
          response
            .writeHead(401, { 'content-type': 'text/plain', 'www-authenticate': 'Basic' })
            .end('the token is not valid');
          return;
        }
        service.requests.push(body);
        const answer = await authority.issue(body, service.certificateSeconds, service.certificateAge);
        if (lostEnrolments > 0) {
          lostEnrolments -= 1;
          request.socket.destroy();
          return;
        }
        response.writeHead(200, { 'content-type': 'application/pkcs7-mime; smime-type=certs-only' }).end(answer);
      })();
    },
  );
  const mutual = {
    key: authority.serverKey,
    cert: authority.serverCertificate,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
  };
  const device = createHttpsServer(mutual, (request, response) => {
    void (async () => {
      const body = await read(request);
      const { id, serial } = peer(request.socket as TLSSocket);
      if (request.url === '/.well-known/est/simplereenroll') {
        response.writeHead(200).end(await authority.issue(body, service.certificateSeconds, service.certificateAge));
        return;
      }
      const answer = checkIn(id, 'https', serial, body);
      if (answer === undefined) request.socket.destroy();
      else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    })();
  });

  const broker = await Aedes.createBroker();
  const serials = new Map<string, string>();
  const mqtt = createTlsServer(mutual, (socket) => {
    const { id, serial } = peer(socket);
    serials.set(id, serial);
    socket.on('error', () => undefined);
    broker.handle(socket);
  });
  broker.on('clientReady', (client) => {
    connected.add(client.id);
    happened();
  });
  broker.on('clientDisconnect', (client) => {
    connected.delete(client.id);
    happened();
  });
  broker.on('publish', (packet, client) => {
    const [, deviceId] = /^\$aws\/rules\/wardline_checkin\/wardline\/([^/]+)\/checkin$/.exec(packet.topic) ?? [];
    if (client === null || deviceId === undefined || client.id !== deviceId) return;
    const answer = checkIn(deviceId, 'mqtt', serials.get(deviceId) ?? '', packet.payload.toString());
    if (answer !== undefined)
      publish(`wardline/${deviceId}/checkin/${answer.status === 200 ? 'accepted' : 'rejected'}`, answer.body);
  });
  const publish = (topic: string, payload: string): void =>
    broker.publish(
      { cmd: 'publish', topic, payload: Buffer.from(payload), qos: 1, dup: false, retain: false },
      () => undefined,
    );

  const ports = await Promise.all([enroll, device, mqtt].map(listen));
  let wakes = 0;
  return Object.assign(service, {
    enroll: `https://localhost:${ports[0]}`,
    device: `https://localhost:${ports[1]}`,
    mqtt: `mqtts://localhost:${ports[2]}`,
    queue(deviceId: string, command: { id: string; type: string; parameters?: Record<string, unknown> }) {
      const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
      queues.set(deviceId, [...(queues.get(deviceId) ?? []), { parameters: {}, expiresAt, ...command }]);
      wakes += 1;
      publish(`wardline/${deviceId}/wake`, JSON.stringify({ v: 1, n: wakes }));
    },
    loseReplies(count: number) {
      lost = count;
    },
    refuse(status: number, count: number) {
      refusals = { status, left: count };
    },
    until(condition: () => boolean) {
      return new Promise<void>((resolve) => {
        const check = (): void => {
          if (!condition()) return;
          checks.delete(check);
          resolve();
        };
        checks.add(check);
        check();
      });
    },
    async stop() {
      await new Promise<void>((resolve) => broker.close(() => resolve()));
      await Promise.all(
        [enroll, device, mqtt].map((server) => {
          if ('closeAllConnections' in server) (server as Server).closeAllConnections();
          return new Promise<void>((resolve) => server.close(() => resolve()));
        }),
      );
    },
  });
}

async function makeAuthority() {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const root = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test authority',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  const issuing = {
    issuer: root.subject,
    signingKey: keys.privateKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
  };
  const serverKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const server = await X509CertificateGenerator.create({
    ...issuing,
    subject: 'CN=localhost',
    publicKey: serverKeys.publicKey,
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }])],
  });
  const issued: string[] = [];
  return {
    ca: root.toString('pem'),
    serverCertificate: server.toString('pem'),
    serverKey: pem(await webcrypto.subtle.exportKey('pkcs8', serverKeys.privateKey)),
    issued,
    /** Base64 of PKCS#10 in, base64 of PKCS#7 out. */
    async issue(body: string, seconds: number, age: number): Promise<string> {
      const request = new Pkcs10CertificateRequest(Buffer.from(body, 'base64'));
      if (!(await request.verify())) throw new Error('the signature of the request is wrong');
      const serial = request.subjectName.getField('2.5.4.5')[0] ?? '';
      const certificate: X509Certificate = await X509CertificateGenerator.create({
        ...issuing,
        notBefore: new Date(Date.now() - age * 1_000),
        subject: [{ CN: [deviceIdOf(serial)] }, { '2.5.4.5': [serial] }],
        publicKey: request.publicKey,
        notAfter: new Date(Date.now() + seconds * 1_000),
      });
      issued.push(certificate.serialNumber.toUpperCase());
      const chain = new X509Certificates([certificate, root]);
      return Buffer.from(chain.export('raw')).toString('base64').replace(/.{64}/g, '$&\n');
    },
  };
}

const pem = (pkcs8: ArrayBuffer): string =>
  `-----BEGIN PRIVATE KEY-----\n${Buffer.from(pkcs8).toString('base64')}\n-----END PRIVATE KEY-----\n`;

function peer(socket: TLSSocket): { id: string; serial: string } {
  const { subject, serialNumber } = socket.getPeerCertificate();
  return { id: String(subject.CN), serial: serialNumber };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function listen(server: {
  listen: (port: number, host: string, done: () => void) => unknown;
  address: () => string | AddressInfo | null;
}): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, 'localhost', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
