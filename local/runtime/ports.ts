import { createServer } from 'node:net';
import type { Ports } from '../cloud.ts';

/** The address that everything listens on: nothing of the local cloud can be reached from another machine. */
export const LOOPBACK = '127.0.0.1';

/** What listens on the port after the first, the next and so on. */
const ORDER = [
  'api',
  'device',
  'enroll',
  'mqtt',
  'issuer',
  'aws',
  'dynamodb',
] as const satisfies readonly (keyof Ports)[];

/** A port that is needed is taken by another program. */
export class PortTaken extends Error {
  readonly port: number;
  constructor(port: number, use: string) {
    super(`Port ${port} (${use}) is in use by another program; stop it, or choose another first port with --port N.`);
    this.name = 'PortTaken';
    this.port = port;
  }
}

/**
 * The ports of a local cloud whose first port is `first`; throws `PortTaken` when one of them is not free. With 0, a free
 * block below the range from which operating systems take ports for outgoing connections, so that it stays free until used.
 */
export async function choosePorts(first: number): Promise<Ports> {
  if (first !== 0) {
    for (const [index, use] of ORDER.entries()) {
      if (!(await isFree(first + index))) throw new PortTaken(first + index, use);
    }
    return block(first);
  }
  for (;;) {
    const candidate = 12_000 + Math.floor(Math.random() * 2_800) * ORDER.length;
    const free = await Promise.all(ORDER.map((_, index) => isFree(candidate + index)));
    if (free.every(Boolean)) return block(candidate);
  }
}

function block(first: number): Ports {
  return {
    api: first,
    device: first + 1,
    enroll: first + 2,
    mqtt: first + 3,
    issuer: first + 4,
    aws: first + 5,
    dynamodb: first + 6,
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
