import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Endpoints } from './local-cloud.ts';

type Item = Record<string, unknown>;

/** The Directory table of a running local cloud, for what no API shows. DynamoDB Local listens beside the AWS endpoint. */
export function openDirectory({ awsEndpoint }: Pick<Endpoints, 'awsEndpoint'>) {
  const address = new URL(awsEndpoint);
  const client = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${Number(address.port) + 1}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const documents = DynamoDBDocumentClient.from(client);
  const named = client.send(new ListTablesCommand({})).then(({ TableNames = [] }) => {
    const name = TableNames.find((each) => /directory/i.test(each));
    if (name === undefined) throw new Error(`no Directory table among ${TableNames.join(', ')}`);
    return name;
  });
  return {
    /** Sort keys of a partition that begin so. */
    async keys(pk: string, prefix: string): Promise<string[]> {
      const { Items = [] } = await documents.send(
        new QueryCommand({
          TableName: await named,
          KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
          ExpressionAttributeValues: { ':pk': pk, ':prefix': prefix },
          ConsistentRead: true,
        }),
      );
      return Items.map(({ sk }) => String(sk));
    },
    async item(pk: string, sk: string): Promise<Item | undefined> {
      const { Item } = await documents.send(
        new GetCommand({ TableName: await named, Key: { pk, sk }, ConsistentRead: true }),
      );
      return Item;
    },
    close: () => client.destroy(),
  };
}
