import { GetCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../shared/aws/dynamodb.ts';
import type { Item } from '../shared/aws/errors.ts';
import type { Change } from '../shared/aws/stream.ts';
import { itemBytes } from './item-size.ts';

/** Units of DynamoDB, by what consumed them. */
export interface Units {
  read: number;
  write: number;
  /** The part of `write` that went into indexes. */
  index: number;
  /** Write units by partition; those of indexes have the name of the index before them. */
  readonly partitions: Map<string, number>;
  /** Largest item that was written, bytes, by the first part of its sort key. */
  readonly largest: Map<string, number>;
}

/** A table, and the keys of its indexes with all that is in them. */
export interface MeteredTable {
  readonly table: Table;
  readonly indexes: Readonly<
    Record<string, { readonly pk: string; readonly sk: string; readonly holds?: readonly string[] }>
  >;
}

const none = (): Units => ({ read: 0, write: 0, index: 0, partitions: new Map(), largest: new Map() });

interface Member {
  readonly table: string;
  readonly key: Item;
  /** `check` writes nothing and costs as much as a write. */
  readonly kind: 'write' | 'check';
}

/**
 * Adds up what requests to tables consume, and keeps what they changed, in order.
 *
 * Reads are what DynamoDB answers. Writes are reckoned from the items before and after, by the published rules, since
 * DynamoDB Local leaves out members of transactions that have a condition: for each KB of the larger image one unit,
 * two in a transaction; the same for an entry of an index that changed, and once more for one that moved. A condition
 * that refuses costs what it refused.
 */
export class TableMeter {
  readonly #tables: ReadonlyMap<string, MeteredTable>;
  readonly #raw: Table['client'];
  #units = none();
  #changes: Change[] = [];
  #sequence = 0;

  /** @param raw another client to the same database, which is not metered */
  constructor(tables: readonly MeteredTable[], raw: Table['client']) {
    this.#tables = new Map(tables.map((one) => [one.table.name, one]));
    this.#raw = raw;
    for (const { table } of tables) this.#listen(table);
  }

  /** What was consumed since the last call. */
  take(): Units {
    const units = this.#units;
    this.#units = none();
    return units;
  }

  /** What changed in the first table since the last call, as its stream would tell it. */
  changes(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  #listen(table: Table): void {
    table.client.middlewareStack.add(
      (next, context) => async (args) => {
        const name = String(context['commandName']).replace(/Command$/, '');
        const input = args.input as Item;
        Object.assign(input, { ReturnConsumedCapacity: 'TOTAL' });
        const members = membersOf(name, input);
        const before = await this.#images(members);
        const factor = name === 'TransactWriteItems' || name === 'TransactWrite' ? 2 : 1;
        try {
          const result = await next(args);
          if (members.length === 0) this.#units.read += unitsOf((result.output as Item)['ConsumedCapacity']);
          else this.#count(members, before, await this.#images(members), factor);
          return result;
        } catch (error) {
          this.#count(members, before, before, factor);
          throw error;
        }
      },
      { step: 'initialize', priority: 'high', name: 'meterTable' },
    );
  }

  async #images(members: readonly Member[]): Promise<readonly (Item | undefined)[]> {
    return Promise.all(
      members.map(async ({ table, key }) => {
        const { Item } = await this.#raw.send(new GetCommand({ TableName: table, Key: key, ConsistentRead: true }));
        return Item;
      }),
    );
  }

  #count(
    members: readonly Member[],
    before: readonly (Item | undefined)[],
    after: readonly (Item | undefined)[],
    factor: number,
  ): void {
    for (const [place, { table, key, kind }] of members.entries()) {
      const [was, is] = [before[place], after[place]];
      const bytes = Math.max(itemBytes(was), itemBytes(is), 1);
      this.#add(String(key['pk']), factor * Math.ceil(bytes / 1_024));
      const family = String(key['sk']).split('#')[0] ?? '';
      this.#units.largest.set(family, Math.max(this.#units.largest.get(family) ?? 0, bytes));
      if (kind === 'check' || JSON.stringify(was) === JSON.stringify(is)) continue;
      this.#countIndexes(table, was, is, factor);
      if (table === [...this.#tables.keys()][0]) this.#tell(was, is);
    }
  }

  #countIndexes(table: string, was: Item | undefined, is: Item | undefined, factor: number): void {
    for (const [name, index] of Object.entries(this.#tables.get(table)?.indexes ?? {})) {
      const [old, fresh] = [entryOf(was, index), entryOf(is, index)];
      if (JSON.stringify(old) === JSON.stringify(fresh)) continue;
      const moved = old?.[index.pk] !== fresh?.[index.pk] || old?.[index.sk] !== fresh?.[index.sk];
      const entries = moved ? [old, fresh] : [itemBytes(old) > itemBytes(fresh) ? old : fresh];
      for (const entry of entries) {
        if (entry === undefined) continue;
        const units = factor * Math.ceil(itemBytes(entry) / 1_024);
        this.#units.index += units;
        this.#add(`${name} ${String(entry[index.pk])}`, units);
      }
    }
  }

  #add(partition: string, units: number): void {
    this.#units.write += units;
    this.#units.partitions.set(partition, (this.#units.partitions.get(partition) ?? 0) + units);
  }

  #tell(before: Item | undefined, after: Item | undefined): void {
    this.#sequence += 1;
    this.#changes.push({
      sequenceNumber: String(this.#sequence),
      kind: before === undefined ? 'INSERT' : after === undefined ? 'REMOVE' : 'MODIFY',
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    });
  }
}

function entryOf(item: Item | undefined, { pk, sk, holds }: MeteredTable['indexes'][string]): Item | undefined {
  if (item?.[pk] === undefined || item[sk] === undefined) return undefined;
  if (holds === undefined) return item;
  const kept = new Set(['pk', 'sk', pk, sk, ...holds]);
  return Object.fromEntries(Object.entries(item).filter(([name]) => kept.has(name)));
}

type Input = Readonly<Record<string, unknown>>;

/** The items that a request writes, or whose condition it asks. */
function membersOf(operation: string, input: Input): Member[] {
  if (/^TransactWrite/.test(operation)) {
    const members = input['TransactItems'] as readonly Readonly<Record<string, Input>>[];
    return members.flatMap((member) =>
      Object.entries(member).map(([verb, part]) => memberOf(part, verb === 'ConditionCheck' ? 'check' : 'write')),
    );
  }
  return /^(Put|Update|Delete)(Item)?$/.test(operation) ? [memberOf(input, 'write')] : [];
}

function memberOf(part: Input, kind: Member['kind']): Member {
  const { pk, sk } = (part['Key'] ?? part['Item']) as { readonly pk: unknown; readonly sk: unknown };
  return { table: String(part['TableName']), key: { pk, sk }, kind };
}

function unitsOf(consumed: unknown): number {
  if (Array.isArray(consumed)) return consumed.reduce((sum: number, part) => sum + unitsOf(part), 0);
  if (typeof consumed !== 'object' || consumed === null || !('CapacityUnits' in consumed)) return 0;
  return Number(consumed.CapacityUnits);
}
