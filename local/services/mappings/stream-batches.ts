import { createHash } from 'node:crypto';
import { AwsError, type Cloud, type Json } from '../../cloud.ts';
import { isObject } from '../fields.ts';
import { sleep } from '../sleep.ts';
import { type BatchResult, batchResult } from './batch-result.ts';
import { type GivenUp, reportGivenUp } from './failure-destination.ts';
import type { MappingSettings } from './settings.ts';
import type { StreamRecord } from './stream-reader.ts';

/** Pauses between attempts, ms of cloud time: doubled each time up to the longest. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/** A record and when the mapping read it first, ms of cloud time; its age counts from there. */
export interface ReadRecord extends StreamRecord {
  readonly readAt: number;
}

const pause = (attempt: number): number => Math.min(FIRST_PAUSE * 2 ** Math.min(attempt - 1, 16), LONGEST_PAUSE);

/** Invokes the function with records of one shard, in order, until each is processed or given up. */
export class StreamBatches {
  readonly #settings: MappingSettings;
  readonly #cloud: Cloud;
  readonly #shard: string;
  readonly #signal: AbortSignal;

  constructor(settings: MappingSettings, cloud: Cloud, shard: string, signal: AbortSignal) {
    this.#settings = settings;
    this.#cloud = cloud;
    this.#shard = shard;
    this.#signal = signal;
  }

  /**
   * Works off `records`; `finished` is called with the sequence number up to which nothing is left to do. With a
   * parallelization factor, records of the same partition key stay in order and others go side by side.
   */
  async process(records: readonly ReadRecord[], finished: (sequence: string) => void): Promise<void> {
    const last = records.at(-1);
    if (last === undefined) return;
    if (this.#settings.lanes <= 1) {
      await this.#inOrder(records, finished);
      return;
    }
    const lanes = new Map<number, ReadRecord[]>();
    for (const record of records) {
      const lane = laneOf(record, this.#settings.lanes);
      lanes.set(lane, [...(lanes.get(lane) ?? []), record]);
    }
    await Promise.all([...lanes.values()].map((lane) => this.#inOrder(lane, () => undefined)));
    if (!this.#signal.aborted) finished(last.sequence);
  }

  async #inOrder(records: readonly ReadRecord[], finished: (sequence: string) => void): Promise<void> {
    for (let start = 0; start < records.length && !this.#signal.aborted; start += this.#settings.batchSize) {
      await this.#batch(records.slice(start, start + this.#settings.batchSize), finished);
    }
  }

  async #batch(batch: readonly ReadRecord[], finished: (sequence: string) => void): Promise<void> {
    let pending = batch;
    let attempts = 0;
    while (!this.#signal.aborted) {
      pending = await this.#dropOld(pending, attempts, finished);
      const [head] = pending;
      const last = pending.at(-1);
      if (head === undefined || last === undefined) return;
      const result = await this.#invoke(pending);
      if (this.#signal.aborted) return;
      if (result === 'throttled') {
        // Not the function's failure, so it does not count as an attempt.
        await sleep(this.#cloud.clock, pause(attempts + 1), this.#signal);
        continue;
      }
      if (result === 'all-processed') {
        finished(last.sequence);
        return;
      }
      const failedAt = result === 'none-processed' ? 0 : pending.findIndex((record) => result.has(record.sequence));
      const before = pending[failedAt - 1];
      if (before !== undefined) {
        finished(before.sequence);
        pending = pending.slice(failedAt);
        // Attempts are those of the first record that is left.
        attempts = 0;
      }
      attempts += 1;
      if (result === 'none-processed' && this.#settings.bisect && pending.length > 1) {
        const middle = Math.ceil(pending.length / 2);
        await this.#batch(pending.slice(0, middle), finished);
        if (!this.#signal.aborted) await this.#batch(pending.slice(middle), finished);
        return;
      }
      if (this.#settings.maximumRetries >= 0 && attempts > this.#settings.maximumRetries) {
        await this.#giveUp(pending, 'RetryAttemptsExhausted', attempts, finished);
        return;
      }
      await sleep(this.#cloud.clock, pause(attempts), this.#signal);
    }
  }

  async #dropOld(
    pending: readonly ReadRecord[],
    attempts: number,
    finished: (sequence: string) => void,
  ): Promise<readonly ReadRecord[]> {
    if (this.#settings.maximumAgeSeconds < 0) return pending;
    const oldest = this.#cloud.clock.now() - this.#settings.maximumAgeSeconds * 1000;
    const firstYoung = pending.findIndex((record) => record.readAt > oldest);
    const old = firstYoung < 0 ? pending : pending.slice(0, firstYoung);
    if (old.length > 0) await this.#giveUp(old, 'RecordAgeExceeded', attempts, finished);
    return pending.slice(old.length);
  }

  async #giveUp(
    records: readonly ReadRecord[],
    reason: GivenUp,
    attempts: number,
    finished: (sequence: string) => void,
  ): Promise<void> {
    const last = records.at(-1);
    if (last === undefined) return;
    await reportGivenUp(this.#settings, this.#cloud, this.#shard, records, reason, attempts);
    finished(last.sequence);
  }

  async #invoke(records: readonly ReadRecord[]): Promise<BatchResult | 'throttled'> {
    try {
      const event: Json = { Records: records.map(({ record }) => record) };
      const result = await this.#cloud.functions.invoke(this.#settings.functionArn, event);
      return batchResult(
        result,
        this.#settings.reportsItemFailures,
        records.map(({ sequence }) => sequence),
      );
    } catch (error) {
      if (!this.#signal.aborted && !(error instanceof AwsError)) {
        this.#cloud.log.warn(
          `Invoking ${this.#settings.functionArn} for ${this.#settings.sourceArn}: ${String(error)}`,
        );
      }
      return 'throttled';
    }
  }
}

const laneOf = ({ record }: StreamRecord, lanes: number): number => {
  const change = record['dynamodb'];
  const keys = isObject(change) && isObject(change['Keys']) ? change['Keys'] : {};
  const text = JSON.stringify(Object.entries(keys).sort(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('md5').update(text).digest().readUInt32BE(0) % lanes;
};
