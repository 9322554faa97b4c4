import { AwsError, type Cloud, type Json } from '../../cloud.ts';
import type { JsonObject } from '../fields.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { sleep } from '../sleep.ts';
import { md5 } from '../sqs/message.ts';
import type { Queue, Received } from '../sqs/queue.ts';
import type { Queues } from '../sqs/queues.ts';
import { systemAttributes } from '../sqs/service.ts';
import { batchResult } from './batch-result.ts';
import type { MappingSettings } from './settings.ts';

/** Pause before a throttled batch is tried again, ms of cloud time. */
const THROTTLE_PAUSE = 250;

/** A body that is JSON is filtered by its fields, any other as text. */
const filterableBody = (body: string): Json => {
  try {
    return JSON.parse(body) as Json;
  } catch {
    return body;
  }
};

/**
 * An event source mapping between a queue and a function. A batch that the function fails, and each message that it
 * reports as failed, appears in the queue again when its visibility timeout is over; the queue counts the receives and
 * moves the message to its dead-letter queue.
 */
export class QueueMapping {
  readonly settings: MappingSettings;
  readonly #cloud: Cloud;
  readonly #queue: Queue;
  readonly #abort = new AbortController();
  #running = 0;
  #freed: (() => void) | undefined;

  constructor(settings: MappingSettings, cloud: Cloud, queues: Queues) {
    this.settings = settings;
    this.#cloud = cloud;
    this.#queue = queues.find(settings.sourceArn);
  }

  /** Checks what the function's role may do. */
  prepare(): void {
    const principal = { roleArn: this.#cloud.functions.role(this.settings.functionArn) };
    for (const action of ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes']) {
      this.#cloud.authorize(principal, { action: `sqs:${action}`, resource: this.settings.sourceArn });
    }
    for (const permission of keyPermissions(this.#cloud, this.#queue.settings.keyName, 'sqs', ['Decrypt'])) {
      this.#cloud.authorize(principal, permission);
    }
  }

  start(): void {
    void this.#poll();
  }

  stop(): void {
    this.#abort.abort();
    this.#freed?.();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (this.#running >= this.settings.concurrency) {
        await new Promise<void>((resolve) => {
          this.#freed = resolve;
        });
        continue;
      }
      await this.#queue.wait(Number.POSITIVE_INFINITY, signal);
      if (signal.aborted) return;
      const batch = await this.#collect();
      if (batch.length === 0) continue;
      this.#running += 1;
      void this.#process(batch).finally(() => {
        this.#running -= 1;
        this.#freed?.();
      });
    }
  }

  /** Receives until the batch is full or the batching window is over; deletes what the filters do not want. */
  async #collect(): Promise<Received[]> {
    const { signal } = this.#abort;
    const until = this.#cloud.clock.now() + this.settings.windowSeconds * 1000;
    const batch: Received[] = [];
    for (;;) {
      for (const received of this.#queue.receive(this.settings.batchSize - batch.length)) {
        if (this.#wanted(received)) batch.push(received);
        else this.#queue.delete(received.receiptHandle);
      }
      if (batch.length >= this.settings.batchSize || this.#cloud.clock.now() >= until || signal.aborted) return batch;
      await this.#queue.wait(until, signal);
    }
  }

  #wanted(received: Received): boolean {
    const { filters } = this.settings;
    if (filters === undefined) return true;
    const event: JsonObject = { ...this.#record(received), body: filterableBody(received.message.body) };
    return filters.some((matches) => matches(event));
  }

  async #process(batch: readonly Received[]): Promise<void> {
    const event: Json = { Records: batch.map((received) => this.#record(received)) };
    const hiddenUntil = Math.min(...batch.map(({ message }) => message.visibleAt));
    do {
      try {
        const result = await this.#cloud.functions.invoke(this.settings.functionArn, event);
        if (this.#abort.signal.aborted) return;
        const identifiers = batch.map(({ message }) => message.id);
        const outcome = batchResult(result, this.settings.reportsItemFailures, identifiers);
        if (outcome === 'none-processed') return;
        for (const { message, receiptHandle } of batch) {
          if (outcome === 'all-processed' || !outcome.has(message.id)) this.#queue.delete(receiptHandle);
        }
        return;
      } catch (error) {
        // Throttled: the batch is kept until its messages appear in the queue again.
        if (!(error instanceof AwsError) && !this.#abort.signal.aborted) {
          this.#cloud.log.warn(
            `Invoking ${this.settings.functionArn} for ${this.settings.sourceArn}: ${String(error)}`,
          );
        }
        await sleep(this.#cloud.clock, THROTTLE_PAUSE, this.#abort.signal);
      }
    } while (!this.#abort.signal.aborted && this.#cloud.clock.now() < hiddenUntil);
  }

  #record(received: Received): JsonObject {
    const { message, receiptHandle } = received;
    return {
      messageId: message.id,
      receiptHandle,
      body: message.body,
      attributes: systemAttributes(this.#queue, received),
      messageAttributes: Object.fromEntries(
        Object.entries(message.attributes).map(([name, attribute]) => [
          name,
          {
            dataType: attribute.DataType,
            ...(attribute.StringValue === undefined ? {} : { stringValue: attribute.StringValue }),
            ...(attribute.BinaryValue === undefined ? {} : { binaryValue: attribute.BinaryValue }),
            stringListValues: [],
            binaryListValues: [],
          },
        ]),
      ),
      md5OfBody: md5(message.body),
      eventSource: 'aws:sqs',
      eventSourceARN: this.settings.sourceArn,
      awsRegion: this.#cloud.region,
    };
  }
}
