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

/** A port that is needed is taken by another program, or reserved for the system. */
export class PortTaken extends Error {
  readonly port: number;
  constructor(port: number, use: string, code?: string) {
    super(
      code === 'EACCES'
        ? `Port ${port} (${use}) is reserved for the system; choose another first port with --port N, above 1023.`
        : `Port ${port} (${use}) is in use by another program; stop it, or choose another first port with --port N.`,
    );
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
      const problem = await probe(first + index);
      if (problem !== undefined) throw new PortTaken(first + index, use, problem);
    }
    return block(first);
  }
  for (;;) {
    const candidate = 12_000 + Math.floor(Math.random() * 2_800) * ORDER.length;
    const problems = await Promise.all(ORDER.map((_, index) => probe(candidate + index)));
    if (problems.every((problem) => problem === undefined)) return block(candidate);
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

/** Undefined when the port is free, else why not: the operating system's code, e.g. `EADDRINUSE`. */
function probe(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
