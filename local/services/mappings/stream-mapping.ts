import type { Cloud } from '../../cloud.ts';
import type { DynamoDb } from '../dynamodb/part.ts';
import { tableKeyPermissions } from '../dynamodb/tables.ts';
import { isObject } from '../fields.ts';
import { Positions, type ShardPosition } from './positions.ts';
import type { MappingSettings } from './settings.ts';
import { type ReadRecord, StreamBatches } from './stream-batches.ts';
import { isStaleIterator, type Shard, StreamReader, type StreamRecord } from './stream-reader.ts';

/**
 * How often an idle shard is looked at, ms. Every write through the local cloud's DynamoDB wakes the mapping at once;
 * this is for what DynamoDB Local does by itself (time to live) and for tools that write to it directly.
 */
const IDLE_POLL = 500;

/** How often new shards are looked for, ms. */
const SHARD_POLL = 10_000;

/** Pause after DynamoDB Local failed to answer, ms. */
const ERROR_PAUSE = 1_000;

/** Polling is machinery, not part of the emulated time, so these waits are by the wall clock. */
const wallPause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
  });

/** An event source mapping between a table's stream and a function. */
export class StreamMapping {
  readonly settings: MappingSettings;
  readonly #cloud: Cloud;
  readonly #dynamoDb: DynamoDb;
  readonly #reader: StreamReader;
  readonly #positions: Positions;
  readonly #table: string;
  readonly #abort = new AbortController();
  readonly #running = new Set<string>();
  /** Counts writes to the table, so that one during a poll is not missed. */
  #changes = 0;
  #wake = new Set<() => void>();
  #unsubscribe: (() => void) | undefined;

  constructor(settings: MappingSettings, cloud: Cloud, dynamoDb: DynamoDb) {
    this.settings = settings;
    this.#cloud = cloud;
    this.#dynamoDb = dynamoDb;
    this.#reader = new StreamReader(() => dynamoDb.client, settings.sourceArn);
    this.#positions = new Positions(cloud.store, settings.id);
    this.#table = settings.sourceArn.split('/')[1] ?? '';
  }

  /**
   * Checks what the function's role may do and, for a new mapping, notes where to begin: `LATEST` is the end of the
   * stream as it is now, so that what is written before `start` is delivered.
   */
  async prepare(): Promise<void> {
    const principal = { roleArn: this.#cloud.functions.role(this.settings.functionArn) };
    for (const action of ['DescribeStream', 'GetShardIterator', 'GetRecords', 'ListStreams']) {
      this.#cloud.authorize(principal, { action: `dynamodb:${action}`, resource: this.settings.sourceArn });
    }
    for (const permission of tableKeyPermissions(this.#cloud, [this.#table]))
      this.#cloud.authorize(principal, permission);
    if (this.#positions.stream === this.settings.sourceArn) return;
    const positions = new Map<string, ShardPosition>();
    if (this.settings.startingPosition === 'LATEST') {
      for (const shard of await this.#reader.shards()) positions.set(shard.id, await this.#end(shard));
    }
    this.#positions.begin(this.settings.sourceArn, positions);
  }

  start(): void {
    this.#unsubscribe = this.#dynamoDb.onChange((table) => {
      if (table !== this.#table) return;
      this.#changes += 1;
      for (const wake of [...this.#wake]) wake();
    });
    void this.#watchShards();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.#abort.abort();
    for (const wake of [...this.#wake]) wake();
  }

  async #end(shard: Shard): Promise<ShardPosition> {
    if (shard.closed) return { done: true };
    let iterator: string | undefined = await this.#reader.iterator(shard.id, undefined);
    let after: string | undefined;
    while (iterator !== undefined) {
      const { records, next } = await this.#reader.records(iterator, 1000);
      const last = records.at(-1);
      if (last === undefined) break;
      after = last.sequence;
      iterator = next;
    }
    return after === undefined ? {} : { after };
  }

  async #watchShards(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#startShards();
        await wallPause(SHARD_POLL, signal);
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  /** A shard begins when its parent is worked off, so that the changes of an item stay in order. */
  async #startShards(): Promise<void> {
    const shards = await this.#reader.shards();
    const known = new Set(shards.map((shard) => shard.id));
    for (const shard of shards) {
      if (this.#running.has(shard.id) || this.#positions.get(shard.id).done === true) continue;
      const { parent } = shard;
      if (parent !== undefined && known.has(parent) && this.#positions.get(parent).done !== true) continue;
      this.#running.add(shard.id);
      void this.#follow(shard.id);
    }
  }

  async #follow(shard: string): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted && this.#positions.get(shard).done !== true) {
      try {
        await this.#read(shard);
      } catch (error) {
        if (signal.aborted) return;
        if (isStaleIterator(error)) await this.#resume(shard, error);
        else await this.#failed(error);
      }
    }
    this.#running.delete(shard);
    if (!signal.aborted) await this.#startShards().catch((error: unknown) => this.#failed(error));
  }

  /** An iterator that is too old is taken anew; records that DynamoDB has dropped after 24 hours are gone, as in AWS. */
  async #resume(shard: string, error: unknown): Promise<void> {
    if (!(error instanceof Error) || !error.message.includes('trim') || this.#positions.get(shard).after === undefined)
      return;
    this.#cloud.log.warn(
      `${this.settings.sourceArn}: records older than 24 hours are gone, going on with the oldest that is left`,
    );
    this.#positions.put(shard, {});
  }

  async #read(shard: string): Promise<void> {
    const { signal } = this.#abort;
    const batches = new StreamBatches(this.settings, this.#cloud, shard, signal);
    let iterator: string | undefined = await this.#reader.iterator(shard, this.#positions.get(shard).after);
    const limit = this.settings.batchSize * this.settings.lanes;
    while (iterator !== undefined && !signal.aborted) {
      const seen = this.#changes;
      const { records, next }: { records: StreamRecord[]; next: string | undefined } = await this.#reader.records(
        iterator,
        limit,
      );
      iterator = next;
      if (records.length === 0) {
        if (next !== undefined) await this.#change(seen);
        continue;
      }
      let collected = records;
      if (this.settings.windowSeconds > 0) {
        ({ collected, iterator } = await this.#collect(records, iterator, limit));
      }
      await this.#process(shard, batches, collected);
    }
    if (!signal.aborted && iterator === undefined)
      this.#positions.put(shard, { ...this.#positions.get(shard), done: true });
  }

  /** Waits for more records until the batch is full or the batching window is over. */
  async #collect(
    first: readonly StreamRecord[],
    start: string | undefined,
    limit: number,
  ): Promise<{ collected: StreamRecord[]; iterator: string | undefined }> {
    const collected = [...first];
    const { signal } = this.#abort;
    let iterator = start;
    let over = false;
    const cancel = this.#cloud.clock.at(this.#cloud.clock.now() + this.settings.windowSeconds * 1000, () => {
      over = true;
      for (const wake of [...this.#wake]) wake();
    });
    while (iterator !== undefined && !over && !signal.aborted && this.#matching(collected).length < limit) {
      const seen = this.#changes;
      const { records, next }: { records: StreamRecord[]; next: string | undefined } = await this.#reader.records(
        iterator,
        limit,
      );
      iterator = next;
      collected.push(...records);
      if (records.length === 0 && next !== undefined && !over) await this.#change(seen);
    }
    cancel();
    return { collected, iterator };
  }

  #matching(records: readonly StreamRecord[]): StreamRecord[] {
    const { filters } = this.settings;
    return filters === undefined
      ? [...records]
      : records.filter(({ record }) => filters.some((matches) => matches(record)));
  }

  async #process(shard: string, batches: StreamBatches, records: readonly StreamRecord[]): Promise<void> {
    const readAt = this.#cloud.clock.now();
    const matching: ReadRecord[] = this.#matching(records).map((record) => ({ ...this.#event(record), readAt }));
    await batches.process(matching, (after) => this.#positions.put(shard, { after }));
    const last = records.at(-1);
    if (last !== undefined && !this.#abort.signal.aborted) this.#positions.put(shard, { after: last.sequence });
  }

  /** The record with the names of this cloud; DynamoDB Local cuts its time to the minute, so a fresh record gets the time. */
  #event({ sequence, record }: StreamRecord): StreamRecord {
    const change = isObject(record['dynamodb']) ? record['dynamodb'] : {};
    const created = Number(change['ApproximateCreationDateTime'] ?? 0);
    const fresh = created * 1000 > Date.now() - 60_000;
    return {
      sequence,
      record: {
        ...record,
        awsRegion: this.#cloud.region,
        eventSourceARN: this.settings.sourceArn,
        dynamodb: {
          ...change,
          ApproximateCreationDateTime: fresh ? Math.floor(this.#cloud.clock.now() / 1000) : created,
        },
      },
    };
  }

  /** Resolves at the next write after `seen` writes, and at the latest after `IDLE_POLL`. */
  async #change(seen: number): Promise<void> {
    if (this.#changes !== seen) return;
    const { signal } = this.#abort;
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#wake.add(wake);
    await wallPause(IDLE_POLL, signal.aborted ? signal : woken.signal);
    this.#wake.delete(wake);
  }

  async #failed(error: unknown): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    this.#cloud.log.warn(
      `Reading ${this.settings.sourceArn} failed and is tried again: ${error instanceof Error ? error.message : String(error)}`,
    );
    await wallPause(ERROR_PAUSE, signal);
  }
}
