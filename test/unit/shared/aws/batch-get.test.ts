import { BatchGetCommand, DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { batchGet } from '../../../../shared/aws/batch-get.ts';
import { openTable } from '../../../../shared/aws/dynamodb.ts';
import { problemOf } from '../../../../shared/http/failure.ts';

const dynamo = mockClient(DynamoDBDocumentClient);
const table = openTable('Devices', { region: 'us-east-1' });
const keys = (count: number) => Array.from({ length: count }, (_, n) => ({ pk: `DEVICE#${n}`, sk: 'HEAD' }));

interface Asked {
  readonly Keys: readonly { readonly pk: string }[];
}
const asked = () =>
  dynamo.commandCalls(BatchGetCommand).map(({ args }) => args[0].input.RequestItems?.['Devices'] as unknown as Asked);

/** A table that has everything and answers with at most so many items at a time. */
function answers(most: (request: number) => number): void {
  let requests = 0;
  dynamo.on(BatchGetCommand).callsFake(({ RequestItems }: { RequestItems: { Devices: Asked } }) => {
    const { Keys } = RequestItems.Devices;
    const given = most(requests);
    requests += 1;
    const left = Keys.slice(given);
    return {
      Responses: { Devices: Keys.slice(0, given) },
      ...(left.length === 0 ? {} : { UnprocessedKeys: { Devices: { Keys: left } } }),
    };
  });
}

beforeEach(() => dynamo.reset());

test('asks for at most a hundred at once', async () => {
  answers(() => 100);
  expect(await batchGet(table, keys(250), { consistent: true, projection: 'pk' })).toHaveLength(250);
  expect(asked().map(({ Keys }) => Keys.length)).toEqual([100, 100, 50]);
  expect(asked()[0]).toMatchObject({ ConsistentRead: true, ProjectionExpression: 'pk' });
  expect(await batchGet(table, [])).toEqual([]);
});

test('asks again for what is left out, and for nothing twice', async () => {
  answers((request) => (request % 2 === 0 ? 0 : 30));
  const items = await batchGet(table, keys(70));
  expect(items.map(({ pk }) => pk).sort()).toEqual(
    keys(70)
      .map(({ pk }) => pk)
      .sort(),
  );
  expect(asked().map(({ Keys }) => Keys.length)).toEqual([70, 70, 40, 40, 10, 10]);
});

test('gives up on a table that answers with nothing: whoever asked is told to come later', async () => {
  answers(() => 0);
  const error = await batchGet(table, keys(2)).catch((thrown: unknown) => thrown);
  expect(asked()).toHaveLength(6);
  expect(problemOf(error).problem.status).toBe(503);
});
