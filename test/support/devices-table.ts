import type { Table } from '../../shared/aws/dynamodb.ts';
import { transact } from '../../shared/devices/store.ts';
import type { Limits } from '../../shared/limits/limits.ts';
import { limitsPart } from '../../shared/limits/store.ts';
import { startTestDatabase } from './test-database.ts';

/** One request to the table: what it was, and what it cost. */
export interface Request {
  readonly operation: string;
  readonly readUnits: number;
  readonly writeUnits: number;
}

/** A Devices table in a DynamoDB of its own, and a record of the requests to it. */
export interface DevicesTable extends AsyncDisposable {
  readonly table: Table;
  /** A Directory table beside it; its requests are not counted. */
  readonly directory: Table;
  /** All requests since the last call, in the order of their answers. */
  requests(): Request[];
}

const most = { count: 500, percent: 100 };
const everywhere = { network: { count: 500 }, site: most, unit: most };

/** Limits so high that what they allow depends only on how many devices there are. */
export const unlimited: Limits = {
  wipe: everywhere,
  revoke: everywhere,
  'install-update': everywhere,
  lock: everywhere,
  restart: everywhere,
  breakGlass: { person: 500, network: 500 },
  bulkWithoutApproval: 1_000,
};

const directories = new WeakMap<Table, Table>();

/** The Directory table that was made together with this Devices table. */
export function directoryOf(devices: Table): Table {
  const directory = directories.get(devices);
  if (directory === undefined) throw new Error('This table was not made by startDevicesTable.');
  return directory;
}

const reads = new Set(['Query', 'GetItem', 'Scan', 'BatchGetItem']);

/** A Devices table with a count of the requests to it. */
export async function startDevicesTable(): Promise<DevicesTable> {
  const database = await startTestDatabase();
  const table = await database.table('bySite');
  const directory = await database.table('byKind');
  directories.set(table, directory);
  // Tests of one file share a network and an hour; those of the limiter set limits of their own.
  await transact(directory, [limitsPart(directory, unlimited, 0, [], new Date())]);
  let requests: Request[] = [];
  table.client.middlewareStack.add(
    (next, context) => async (args) => {
      const operation = String(context['commandName']).replace(/Command$/, '');
      const input = args.input as Record<string, unknown>;
      input['ReturnConsumedCapacity'] = 'TOTAL';
      const isRead = reads.has(operation);
      const count = (units: number) =>
        requests.push({ operation, readUnits: isRead ? units : 0, writeUnits: isRead ? 0 : units });
      try {
        const result = await next(args);
        const counted = unitsOf((result.output as { ConsumedCapacity?: unknown }).ConsumedCapacity);
        count(operation === 'TransactWriteItems' ? transactionUnits(input) : counted);
        return result;
      } catch (error) {
        // A write that its condition refuses costs as much as one that is carried out; DynamoDB Local does not say so.
        count(1);
        throw error;
      }
    },
    { step: 'initialize', priority: 'low', name: 'countRequests' },
  );
  return {
    table,
    directory,
    requests() {
      const seen = requests;
      requests = [];
      return seen;
    },
    async [Symbol.asyncDispose]() {
      await database.stop();
    },
  };
}

function unitsOf(consumed: unknown): number {
  if (Array.isArray(consumed)) return consumed.reduce((sum: number, part) => sum + unitsOf(part), 0);
  if (typeof consumed !== 'object' || consumed === null || !('CapacityUnits' in consumed)) return 0;
  return Number(consumed.CapacityUnits);
}

/**
 * The units of a transaction by the published rules: two for each KB of each item, and the same for an index entry.
 * DynamoDB Local leaves out members that have a condition. What is updated or deleted is an item of at most 1 KB here.
 */
function transactionUnits(input: Record<string, unknown>): number {
  const members = Array.isArray(input['TransactItems']) ? input['TransactItems'] : [];
  return members.reduce((sum: number, member: { Put?: { Item: Record<string, unknown> } }) => {
    if (member.Put === undefined) return sum + 2;
    const kilobytes = Math.ceil(Buffer.byteLength(JSON.stringify(member.Put.Item)) / 1_024);
    const indexes = Number('gsi1pk' in member.Put.Item) + Number('gsi2pk' in member.Put.Item);
    return sum + 2 * kilobytes + 2 * indexes;
  }, 0);
}
