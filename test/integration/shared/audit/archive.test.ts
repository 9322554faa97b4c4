import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { append } from '../../../../shared/audit/archive/append.ts';
import { closeDays } from '../../../../shared/audit/archive/close.ts';
import { ChainStore, scanRecords } from '../../../../shared/audit/archive/store.ts';
import { verifyArchive } from '../../../../shared/audit/archive/verify.ts';
import { auditRecord } from '../../../../shared/audit/record.ts';
import { keepRecord } from '../../../../shared/audit/store.ts';
import type { Table } from '../../../../shared/aws/dynamodb.ts';
import { entry, memoryArchive, recordIds } from '../../../support/memory-archive.ts';
import { startTestDatabase, type TestDatabase } from '../../../support/test-database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await startTestDatabase();
});
afterAll(async () => {
  await database.stop();
});

/** Heads, marks and days in DynamoDB; objects in memory. */
async function archiveWith(time: string) {
  const memory = memoryArchive(time);
  const table: Table = await database.table('byKind');
  const store = new ChainStore(table, memory.means.now);
  return { ...memory, at: memory.at, table, means: { ...memory.means, chains: store, dayBook: store } };
}

test('twenty deliveries at once, each record in several of them: one chain, each record once', async () => {
  const { means, objects, files } = await archiveWith('2027-03-01T12:00:00.000Z');
  const deliveries = Array.from({ length: 20 }, (_, n) => [entry(n, 's-1'), entry(n + 1, 's-1'), entry(n + 10, 's-1')]);
  await Promise.all(deliveries.map((entries) => append(means, 's-1', entries)));
  const ids = recordIds(objects);
  expect(ids).toHaveLength(30);
  expect(new Set(ids).size).toBe(30);
  expect(verifyArchive(files()).problems).toEqual([]);
});

test('full objects of 80 records fit into the transaction that remembers them', async () => {
  const { means, objects } = await archiveWith('2027-03-01T12:00:00.000Z');
  const entries = Array.from({ length: 200 }, (_, n) => entry(n, 's-1'));
  await append(means, 's-1', entries);
  await append(means, 's-1', entries.toReversed());
  expect(recordIds(objects)).toHaveLength(200);
  expect(objects.size).toBe(3);
});

test('days are closed while records arrive and two closers run; empty days have a digest', async () => {
  const { means, objects, at, files } = await archiveWith('2027-03-01T23:59:59.000Z');
  for (let n = 0; n < 10; n += 1) await append(means, `s-${n}`, [entry(n, `s-${n}`)]);
  at('2027-03-04T00:20:00.000Z');
  await Promise.all([
    closeDays(means),
    closeDays(means),
    ...Array.from({ length: 20 }, (_, n) => append(means, `s-${n}`, [entry(n, `s-${n}`), entry(100 + n, `s-${n}`)])),
  ]);
  expect([...objects.keys()].filter((key) => key.startsWith('digests/')).sort()).toEqual([
    'digests/2027-03-01.json',
    'digests/2027-03-02.json',
    'digests/2027-03-03.json',
  ]);
  const { publicKeyPem } = means.key;
  expect(verifyArchive(files(), { publicKeyPem, from: '2027-03-01', to: '2027-03-03' })).toMatchObject({
    problems: [],
    records: 40,
  });
  expect(await closeDays(means)).toEqual([]);
});

test('a first day without any record is closed too', async () => {
  const { means, files } = await archiveWith('2027-03-02T00:20:00.000Z');
  expect(await closeDays(means)).toEqual(['2027-03-01']);
  await append(means, 'organization', [entry(1)]);
  expect(verifyArchive(files(), { from: '2027-03-01', to: '2027-03-01' }).problems).toEqual([]);
});

test('a catch-up finds audit records among everything else, and none of the archive itself', async () => {
  const { means, table } = await archiveWith('2027-03-01T12:00:00.000Z');
  await append(means, 's-1', [entry(1, 's-1')]);
  const since = new Date('2027-03-01T00:00:00.000Z');
  const record = (at: string) =>
    auditRecord(
      'SITE#s-1',
      { actor: 'user:a', action: 'UpdateSite', resource: 'site/s-1', outcome: 'allowed' },
      new Date(at),
    );
  const [old, recent] = [record('2027-02-28T00:00:00.000Z'), record('2027-03-01T10:00:00.000Z')];
  for (const item of [old, recent]) await keepRecord(table, item);
  const page = await scanRecords(table, since, undefined);
  expect(page).toEqual({ items: [recent] });
});

test('a record that is stored twice stays as it was first', async () => {
  const { table } = await archiveWith('2027-03-01T12:00:00.000Z');
  const item = auditRecord(
    'SITE#s-1',
    { actor: 'user:a', action: 'UpdateSite', resource: 'site/s-1', outcome: 'denied' },
    new Date('2027-03-01T10:00:00.000Z'),
  );
  await keepRecord(table, item);
  await keepRecord(table, { ...item, actor: 'user:b' });
  const { Attributes } = await table.client.send(
    new UpdateCommand({ TableName: table.name, Key: { pk: item.pk, sk: item.sk }, ReturnValues: 'ALL_NEW' }),
  );
  expect(Attributes).toEqual({ ...item });
});
