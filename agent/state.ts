import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isRecord } from './channel/messages.ts';
import type { HttpsIdentity } from './channel/request.ts';
import { Journal, type JournalEntry } from './commands/journal.ts';
import type { Endpoints } from './connect.ts';
import type { IdentityStore } from './enrollment/credentials.ts';

/** What the agent learned when it enrolled, besides its identity. */
export interface AgentSettings {
  readonly serial: { readonly serial: string; readonly source: string };
  readonly endpoints: Endpoints;
  /** PEM of the authority that the servers' certificates end in; the system's list when left out. */
  readonly ca?: string;
}

/**
 * The agent's state in one folder that only its user can read. Files are replaced whole: written beside, flushed,
 * renamed. Key and certificate are in one file, so that they always belong together.
 */
export class AgentState {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Where collected logs are kept. */
  get logs(): string {
    return join(this.#folder, 'logs');
  }

  /** `identity.pem` and, during a renewal, `identity-next.pem`; before there is one, `enrolment-key.pem`. */
  get identities(): IdentityStore {
    return {
      load: () => {
        const current = this.#read('identity.pem', readIdentity);
        const next = this.#read('identity-next.pem', readIdentity);
        return current === undefined ? undefined : { current, ...(next === undefined ? {} : { next }) };
      },
      save: ({ current, next }) => {
        // In this order a stop in between leaves either the old pair or the new one in both places.
        if (next !== undefined) this.#write('identity-next.pem', pemOf(next));
        this.#write('identity.pem', pemOf(current));
        if (next === undefined) rmSync(join(this.#folder, 'identity-next.pem'), { force: true });
        rmSync(join(this.#folder, 'enrolment-key.pem'), { force: true });
      },
      enrolmentKey: {
        load: () => this.#read('enrolment-key.pem', readKey),
        save: (privateKeyPem) => this.#write('enrolment-key.pem', privateKeyPem),
      },
    };
  }

  get settings(): AgentSettings | undefined {
    return this.#read('agent.json', readSettings);
  }

  set settings(settings: AgentSettings) {
    this.#write('agent.json', `${JSON.stringify(settings, undefined, 2)}\n`);
  }

  /** `commands.json` */
  journal(): Journal {
    return new Journal(this.#read('commands.json', readEntries) ?? [], (entries) =>
      this.#write('commands.json', JSON.stringify(entries)),
    );
  }

  #read<T>(name: string, parse: (text: string) => T): T | undefined {
    const file = join(this.#folder, name);
    if (!existsSync(file)) return undefined;
    try {
      return parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new Error(`${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #write(name: string, text: string): void {
    const file = join(this.#folder, name);
    const beside = `${file}.new`;
    // Made anew: what an earlier stop, or somebody else, left there may be a link or readable by others.
    rmSync(beside, { force: true });
    const descriptor = openSync(beside, 'wx', 0o600);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(beside, file);
    this.#flushFolder();
  }

  /** The new name is on disk as well: a command that was noted is not carried out twice after a power cut. */
  #flushFolder(): void {
    const folder = openSync(this.#folder, 'r');
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

const pemOf = ({ certificatePem, privateKeyPem }: HttpsIdentity): string =>
  `${privateKeyPem.trim()}\n${certificatePem.trim()}\n`;

function readIdentity(text: string): HttpsIdentity {
  const [certificatePem] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text) ?? [];
  if (certificatePem === undefined) throw new Error('it lacks a certificate');
  return { privateKeyPem: readKey(text), certificatePem: `${certificatePem}\n` };
}

function readKey(text: string): string {
  const [privateKeyPem] = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(text) ?? [];
  if (privateKeyPem === undefined) throw new Error('it lacks a key');
  return `${privateKeyPem}\n`;
}

function readSettings(text: string): AgentSettings {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new Error('it is not a JSON object');
  const { serial, endpoints, ca } = value;
  if (!isRecord(serial) || typeof serial['serial'] !== 'string' || !isRecord(endpoints)) {
    throw new Error('it lacks the serial number or the endpoints');
  }
  return {
    serial: { serial: serial['serial'], source: String(serial['source']) },
    endpoints: endpointsOf(endpoints),
    ...(typeof ca === 'string' ? { ca } : {}),
  };
}

/** The endpoints in a JSON object, such as `.wardline/local.json`; other members are left alone. */
export function endpointsOf(value: Readonly<Record<string, unknown>>): Endpoints {
  const { device, mqtt } = value;
  return {
    ...(typeof device === 'string' ? { device } : {}),
    ...(typeof mqtt === 'string' ? { mqtt } : {}),
  };
}

function readEntries(text: string): JournalEntry[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new Error('it is not a JSON list');
  return value.filter(
    (entry): entry is JournalEntry =>
      isRecord(entry) &&
      typeof entry['id'] === 'string' &&
      typeof entry['type'] === 'string' &&
      typeof entry['expiresAt'] === 'number' &&
      typeof entry['reported'] === 'boolean' &&
      (entry['result'] === undefined || isRecord(entry['result'])),
  );
}
