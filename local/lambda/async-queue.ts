import { randomUUID } from 'node:crypto';
import { AwsError, type Cloud, type InvokeResult, type Json, type Permission } from '../cloud.ts';
import type { EventInvokeConfiguration } from './configuration.ts';

const SPACE = 'lambda-async';

/** Wait before the first and the second retry, ms. */
const RETRY_DELAYS = [60_000, 120_000] as const;

/** How long a throttled invocation waits before it is tried again, ms; doubles up to the longest. */
const THROTTLE_DELAY = { first: 1_000, longest: 300_000 } as const;

interface Entry {
  readonly functionArn: string;
  readonly payload: Json;
  readonly requestId: string;
  /** When it was queued, ms of cloud time. */
  readonly queuedAt: number;
  /** When it is due, ms of cloud time. */
  readonly due: number;
  /** Attempts that the function has answered with an error. */
  readonly failures: number;
  readonly throttled: number;
}

/** What the queue needs of Lambda. */
export interface AsyncInvoker {
  invoke(functionArn: string, payload: Json): Promise<InvokeResult>;
  configuration(functionArn: string): EventInvokeConfiguration;
  deadLetterTarget(functionArn: string): string | undefined;
  hasRoom(functionArn: string): boolean;
}

/**
 * Lambda's queue of asynchronous invocations: durable, retried twice by default, then sent to the failure destination
 * and the dead-letter target. An entry leaves the store only when its fate is settled, so a restart repeats what was
 * under way.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export class AsyncQueue {
  readonly #cloud: Cloud;
  readonly #invoker: AsyncInvoker;
  #sequence = 0;
  #running = false;

  constructor(cloud: Cloud, invoker: AsyncInvoker) {
    this.#cloud = cloud;
    this.#invoker = invoker;
  }

  /** Queues an invocation; it is in the store when this returns. */
  add(functionArn: string, payload: Json): void {
    const now = this.#cloud.clock.now();
    this.#sequence += 1;
    const key = `${String(Math.floor(now)).padStart(15, '0')}-${String(this.#sequence).padStart(8, '0')}-${randomUUID().slice(0, 8)}`;
    this.#schedule(key, {
      functionArn,
      payload,
      requestId: randomUUID(),
      queuedAt: now,
      due: now,
      failures: 0,
      throttled: 0,
    });
  }

  /** Takes up what is in the store. Invocations that were added before wait for this. */
  start(): void {
    this.#running = true;
    for (const { key, value } of this.#cloud.store.list<Entry>(SPACE)) this.#arm(key, value);
  }

  /** Starts nothing more. */
  stop(): void {
    this.#running = false;
  }

  #schedule(key: string, entry: Entry): void {
    this.#cloud.store.put(SPACE, key, entry);
    if (this.#running) this.#arm(key, entry);
  }

  #arm(key: string, entry: Entry): void {
    const run = () => {
      this.#attempt(key, entry).catch((error: unknown) =>
        this.#cloud.log.warn(`asynchronous invocation of ${entry.functionArn}: ${String(error)}`),
      );
    };
    if (entry.due <= this.#cloud.clock.now()) setImmediate(run);
    else this.#cloud.clock.at(entry.due, run);
  }

  async #attempt(key: string, entry: Entry): Promise<void> {
    if (!this.#running) return;
    const { clock } = this.#cloud;
    const configuration = this.#invoker.configuration(entry.functionArn);
    const oldest = entry.queuedAt + configuration.maximumEventAgeSeconds * 1000;
    const result = await this.#invoke(entry);
    if (!this.#running) return;
    if (result === 'throttled') {
      const wait = Math.min(THROTTLE_DELAY.first * 2 ** entry.throttled, THROTTLE_DELAY.longest);
      const due = clock.now() + wait;
      if (due > oldest) await this.#giveUp(key, entry, 'EventAgeExceeded', { payload: null });
      else this.#schedule(key, { ...entry, due, throttled: entry.throttled + 1 });
      return;
    }
    if (result.functionError === undefined) {
      if (configuration.onSuccess !== undefined) {
        await this.#send(entry, configuration.onSuccess, record(entry, 'Success', result, clock.now()));
      }
      this.#cloud.store.delete(SPACE, key);
      return;
    }
    const failures = entry.failures + 1;
    const due = clock.now() + (RETRY_DELAYS[entry.failures] ?? RETRY_DELAYS[1]);
    if (failures > configuration.maximumRetryAttempts) {
      await this.#giveUp(key, { ...entry, failures }, 'RetriesExhausted', result);
    } else if (due > oldest) {
      await this.#giveUp(key, { ...entry, failures }, 'EventAgeExceeded', result);
    } else {
      this.#schedule(key, { ...entry, due, failures });
    }
  }

  async #invoke(entry: Entry): Promise<InvokeResult | 'throttled'> {
    if (!this.#invoker.hasRoom(entry.functionArn)) return 'throttled';
    try {
      return await this.#invoker.invoke(entry.functionArn, entry.payload);
    } catch (error) {
      if (error instanceof AwsError && error.code !== 'ResourceNotFoundException') return 'throttled';
      throw error;
    }
  }

  async #giveUp(key: string, entry: Entry, condition: string, result: InvokeResult): Promise<void> {
    const { onFailure } = this.#invoker.configuration(entry.functionArn);
    if (onFailure !== undefined) {
      await this.#send(entry, onFailure, record(entry, condition, result, this.#cloud.clock.now()));
    }
    const deadLetters = this.#invoker.deadLetterTarget(entry.functionArn);
    if (deadLetters !== undefined) {
      const message = messageOf(result.payload);
      await this.#send(entry, deadLetters, entry.payload, {
        RequestID: entry.requestId,
        ErrorCode: '200',
        ErrorMessage: message.slice(0, 1024),
      });
    }
    this.#cloud.store.delete(SPACE, key);
  }

  /** Sends as the function's role, which needs the permission; a failure is logged and goes no further, as in AWS. */
  async #send(entry: Entry, target: string, message: Json, attributes?: Record<string, string>): Promise<void> {
    try {
      this.#cloud.authorize({ roleArn: this.#cloud.functions.role(entry.functionArn) }, permissionFor(target));
      await this.#cloud.deliver(target, message, attributes === undefined ? {} : { attributes });
    } catch (error) {
      this.#cloud.log.warn(`${entry.functionArn}: could not send to its destination ${target}: ${String(error)}`);
    }
  }
}

function record(entry: Entry, condition: string, result: InvokeResult, now: number): Json {
  return {
    version: '1.0',
    timestamp: new Date(now).toISOString(),
    requestContext: {
      requestId: entry.requestId,
      functionArn: `${entry.functionArn}:$LATEST`,
      condition,
      approximateInvokeCount: entry.failures + (condition === 'Success' ? 1 : 0),
    },
    requestPayload: entry.payload,
    responseContext: {
      statusCode: 200,
      executedVersion: '$LATEST',
      ...(result.functionError === undefined ? {} : { functionError: result.functionError }),
    },
    responsePayload: result.payload,
  };
}

function messageOf(payload: Json): string {
  if (payload !== null && typeof payload === 'object' && !Array.isArray(payload))
    return String(payload['errorMessage'] ?? '');
  return '';
}

function permissionFor(target: string): Permission {
  const actions: Readonly<Record<string, string>> = {
    sqs: 'sqs:SendMessage',
    sns: 'sns:Publish',
    lambda: 'lambda:InvokeFunction',
    events: 'events:PutEvents',
    s3: 's3:PutObject',
  };
  const service = target.split(':')[2] ?? '';
  return { action: actions[service] ?? `${service}:*`, resource: target };
}
