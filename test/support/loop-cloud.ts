import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultRule } from '../../local/endpoint/faults.ts';
import type { TraceEntry } from '../../local/endpoint/trace.ts';
import { type LocalCloud, startLocalCloud } from './local-cloud.ts';
import { LoopDevice } from './loop-device.ts';

/** The life of a command, as the management API shows it. */
export interface Life {
  readonly id: string;
  readonly status: string;
  readonly history: readonly {
    readonly status: string;
    readonly at: string;
    readonly source: string;
    readonly until?: string;
  }[];
}

/** A running local cloud with a site, an administrator and what tests of the device loop do with them. */
export class LoopCloud implements AsyncDisposable {
  readonly cloud: LocalCloud;
  readonly #trace: string;
  readonly #enrolmentToken: string;
  #administrator: string;
  #serials = 0;

  private constructor(cloud: LocalCloud, trace: string, administrator: string, enrolmentToken: string) {
    this.cloud = cloud;
    this.#trace = trace;
    this.#administrator = administrator;
    this.#enrolmentToken = enrolmentToken;
  }

  /** Starts it, with a trace of all AWS calls. */
  static async start(): Promise<LoopCloud> {
    // Relative to the cloud's own folder, which its start makes.
    const cloud = await startLocalCloud({ args: ['--empty', '--trace', 'trace.jsonl'] });
    const administrator = await cloud.token('ada.admin', { mfa: true });
    const site = await cloud.api('POST', '/v1/sites', {
      token: administrator,
      body: { name: 'St. Anna', timeZone: 'America/New_York' },
    });
    const siteId = (site.body as { id: string }).id;
    const token = await cloud.api('POST', '/v1/enrollment-tokens', {
      token: administrator,
      body: { siteId, class: 'tablet', platform: 'linux', uses: 1_000 },
    });
    const { token: enrolmentToken } = token.body as { token: string };
    if (enrolmentToken === undefined) throw new Error(`no enrolment token: ${JSON.stringify(token.body)}`);
    return new LoopCloud(cloud, join(cloud.scratch, 'trace.jsonl'), administrator, enrolmentToken);
  }

  /** Enrols one more device. */
  async device(): Promise<LoopDevice> {
    this.#serials += 1;
    return await LoopDevice.enrol(this.cloud.endpoints, this.#enrolmentToken, `TAB-${this.#serials}`);
  }

  /** Signs the administrator in again, once the cloud's clock has gone on so far that the token has expired. */
  async signIn(): Promise<void> {
    this.#administrator = await this.cloud.token('ada.admin', { mfa: true });
  }

  /** A call of the management API by the administrator. */
  async api(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const options = { token: this.#administrator, headers, ...(body === undefined ? {} : { body }) };
    return await this.cloud.api(method, path, options);
  }

  /** Queues a command and gives its id. */
  async queue(device: Pick<LoopDevice, 'id'>, body: unknown): Promise<string> {
    const answer = await this.api('POST', `/v1/devices/${device.id}/commands`, body);
    if (answer.status !== 201) throw new Error(`not queued: ${answer.status} ${JSON.stringify(answer.body)}`);
    return (answer.body as { id: string }).id;
  }

  /** A command's life. */
  async life(device: Pick<LoopDevice, 'id'>, commandId: string): Promise<Life> {
    return (await this.api('GET', `/v1/devices/${device.id}/commands/${commandId}`)).body as Life;
  }

  /** The statuses that a command went through, without `pushed`, which comes when it comes. */
  async course(device: Pick<LoopDevice, 'id'>, commandId: string): Promise<string[]> {
    const { history } = await this.life(device, commandId);
    return history.map(({ status }) => status).filter((status) => status !== 'pushed');
  }

  /** All commands of a device, at most 100. */
  async commands(device: Pick<LoopDevice, 'id'>): Promise<readonly Life[]> {
    const answer = await this.api('GET', `/v1/devices/${device.id}/commands?limit=100`);
    return (answer.body as { items: Life[] }).items;
  }

  /** A device as the API shows it, its reports without their times. */
  async view(device: Pick<LoopDevice, 'id'>): Promise<Record<string, unknown>> {
    const view = (await this.api('GET', `/v1/devices/${device.id}`)).body as Record<string, unknown>;
    const reports = ['inventory', 'posture'].filter((name) => name in view);
    return {
      ...view,
      ...Object.fromEntries(reports.map((name) => [name, (view[name] as { report: unknown }).report])),
    };
  }

  /** Replaces the fault plan; none: everything works again. */
  async faults(...rules: readonly FaultRule[]): Promise<void> {
    await this.#control('PUT', 'faults', rules);
  }

  /** How often the rules of the fault plan have struck, in their order. */
  async hits(): Promise<number[]> {
    return ((await this.#control('GET', 'faults')) as { hits: number }[]).map(({ hits }) => hits);
  }

  /** Makes the cloud's clock go on at this speed. */
  async speed(speed: number): Promise<void> {
    await this.#control('PUT', 'clock', { speed });
  }

  /** The cloud's time, milliseconds. */
  async now(): Promise<number> {
    return Date.parse(((await this.#control('GET', 'clock')) as { now: string }).now);
  }

  /** AWS calls so far, of one function if it is named. */
  async calls(functionName?: string): Promise<TraceEntry[]> {
    await this.#traced();
    return this.#entries().filter(
      (entry) => functionName === undefined || entry.function === `wardline-${functionName}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cloud.stop();
  }

  #entries(): TraceEntry[] {
    const lines = readFileSync(this.#trace, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as TraceEntry);
  }

  /** Resolves when all calls up to now are in the file: a call by a stranger, which comes after them, is. */
  async #traced(): Promise<void> {
    const strangers = () => this.#entries().filter(({ error }) => error === 'UnrecognizedClientException').length;
    const before = strangers();
    const authorization = 'AWS4-HMAC-SHA256 Credential=STRANGER/20260101/us-east-1/sqs/aws4_request';
    await fetch(this.cloud.endpoints.awsEndpoint, { method: 'POST', headers: { authorization }, body: '{}' });
    await eventually(strangers, (count) => count > before);
  }

  async #control(method: string, what: 'faults' | 'clock', body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.cloud.endpoints.awsEndpoint}/_wardline/${what}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${what}: ${await response.text()}`);
    return await response.json();
  }
}

/** Asks again until `holds`, for what happens behind the scenes; throws with what it was last after a minute. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  holds: (value: T) => boolean | Promise<boolean>,
): Promise<T> {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = await ask();
    if (await holds(value)) return value;
    if (Date.now() > end) throw new Error(`It did not come to pass: ${JSON.stringify(value)}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}
