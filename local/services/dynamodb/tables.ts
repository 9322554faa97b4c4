import { setTimeout as delay } from 'node:timers/promises';
import {
  AwsError,
  type Cloud,
  type CreatedResource,
  type Json,
  type Permission,
  type ResourceRequest,
  type ResourceType,
} from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { type DynamoDbClient, LOCAL_REGION } from './wire.ts';

const API = 'DynamoDB_20120810';

/** How long a change of a table's indexes may take, ms. */
const CHANGE_LIMIT = 30_000;

/** What is remembered of a table beside what DynamoDB Local knows. */
interface TableRecord {
  readonly keyArn?: string;
  /** Names of the partition keys: of the table under `''`, of its indexes under their names. */
  readonly partitionKeys: Readonly<Record<string, string>>;
}

const SPACE = 'dynamodb/table';

/** An ARN as the outside sees it, from the one of DynamoDB Local. */
export const publicArn = (cloud: Cloud, arn: string): string =>
  arn.replace(`:${LOCAL_REGION}:000000000000:`, `:${cloud.region}:${cloud.account}:`);

/** The ARN that DynamoDB Local knows, from the one that the outside sees. */
export const localArn = (arn: string): string =>
  arn.replace(/^arn:aws:dynamodb:[^:]*:[^:]*:/, `arn:aws:dynamodb:${LOCAL_REGION}:000000000000:`);

const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

const indexName = (index: Json): string => String(object(index)['IndexName'] ?? '');

/** What of an index counts when it is compared: keys and projection, in one order. */
const indexShape = (index: Json): string => {
  const { KeySchema, Projection } = object(index);
  const projection = object(Projection);
  const attributes = projection['NonKeyAttributes'];
  return JSON.stringify([
    KeySchema ?? [],
    projection['ProjectionType'] ?? 'ALL',
    Array.isArray(attributes) ? [...attributes].map(String).sort() : [],
  ]);
};

const partitionKeysOf = ({ keys, globalIndexes, localIndexes }: TableDefinition): Record<string, string> => {
  const hash = (schema: Json | undefined) => {
    const key = Array.isArray(schema) ? schema.find((part) => object(part)['KeyType'] === 'HASH') : undefined;
    return String(object(key)['AttributeName'] ?? '');
  };
  const indexes = [...globalIndexes, ...localIndexes].map((index) => [
    indexName(index),
    hash(object(index)['KeySchema']),
  ]);
  return { ...Object.fromEntries(indexes), '': hash(keys) };
};

const requestIndex = (index: Json): JsonObject => {
  const { IndexName, KeySchema, Projection } = object(index);
  return { IndexName: IndexName ?? '', KeySchema: KeySchema ?? [], Projection: Projection ?? {} };
};

/**
 * DynamoDB decrypts a table's key in the name of the caller, so a caller without `kms:Decrypt` on a customer-managed key
 * is refused, and so is the role that reads the table's stream:
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
 */
export const tableKeyPermissions = (cloud: Cloud, tables: readonly string[]): Permission[] =>
  tables.flatMap((name) =>
    keyPermissions(cloud, cloud.store.get<TableRecord>(SPACE, name)?.keyArn, 'dynamodb', ['Decrypt']),
  );

/** Makes tables in DynamoDB Local and knows what templates say about them. */
export class TableRegistry {
  readonly #cloud: Cloud;
  readonly #client: DynamoDbClient;

  constructor(cloud: Cloud, client: DynamoDbClient) {
    this.#cloud = cloud;
    this.#client = client;
  }

  /** What a caller needs on the keys of these tables. */
  keyPermissions(tables: readonly string[]): Permission[] {
    return tableKeyPermissions(this.#cloud, tables);
  }

  /** The name of the partition key of a table or of one of its indexes. */
  partitionKey(table: string, index = ''): string | undefined {
    return this.#cloud.store.get<TableRecord>(SPACE, table)?.partitionKeys[index];
  }

  /** Creates the table, or brings one that is there in line with the template. */
  async create(resource: ResourceRequest, definition: TableDefinition): Promise<CreatedResource> {
    const name = definition.name ?? this.#cloud.physicalName(resource);
    const existing = await this.#describe(name);
    if (existing === undefined) await this.#create(name, definition);
    else await this.#update(name, existing, definition);
    await this.#timeToLive(name, definition.timeToLive);
    const { keyArn } = definition;
    const record: TableRecord = {
      ...(keyArn === undefined ? {} : { keyArn }),
      partitionKeys: partitionKeysOf(definition),
    };
    this.#cloud.store.put(SPACE, name, record);
    if (definition.policy !== undefined) {
      this.#cloud.resourcePolicy(this.#cloud.arn('dynamodb', `table/${name}`), definition.policy);
    }
    const table = object((await this.#client.call(`${API}.DescribeTable`, { TableName: name }))['Table']);
    const stream = table['LatestStreamArn'];
    return {
      ref: name,
      attributes: {
        Arn: this.#cloud.arn('dynamodb', `table/${name}`),
        TableId: String(table['TableId'] ?? name),
        ...(typeof stream === 'string' ? { StreamArn: publicArn(this.#cloud, stream) } : {}),
      },
    };
  }

  async #describe(name: string): Promise<JsonObject | undefined> {
    try {
      return object((await this.#client.call(`${API}.DescribeTable`, { TableName: name }))['Table']);
    } catch (error) {
      if (error instanceof AwsError && error.code === 'ResourceNotFoundException') return undefined;
      throw error;
    }
  }

  async #create(name: string, definition: TableDefinition): Promise<void> {
    await this.#client.call(`${API}.CreateTable`, {
      TableName: name,
      AttributeDefinitions: definition.attributes,
      KeySchema: definition.keys,
      BillingMode: 'PAY_PER_REQUEST',
      ...(definition.globalIndexes.length === 0
        ? {}
        : { GlobalSecondaryIndexes: definition.globalIndexes.map(requestIndex) }),
      ...(definition.localIndexes.length === 0
        ? {}
        : { LocalSecondaryIndexes: definition.localIndexes.map(requestIndex) }),
      ...(definition.streamView === undefined
        ? {}
        : { StreamSpecification: { StreamEnabled: true, StreamViewType: definition.streamView } }),
    });
  }

  /** A table that was kept with `--data` may be older than the template: indexes and the stream are brought in line. */
  async #update(name: string, existing: JsonObject, definition: TableDefinition): Promise<void> {
    if (JSON.stringify(existing['KeySchema']) !== JSON.stringify(definition.keys)) {
      throw new Error(`Table ${name} was kept with other keys than the template has: start with another --data folder`);
    }
    const indexes = existing['GlobalSecondaryIndexes'];
    const there = new Map((Array.isArray(indexes) ? indexes : []).map((index) => [indexName(index), index]));
    const wanted = new Map(definition.globalIndexes.map((index) => [indexName(index), index]));
    for (const [index, found] of there) {
      const want = wanted.get(index);
      if (want !== undefined && indexShape(want) === indexShape(found)) continue;
      await this.#change(name, { GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: index } }] });
      there.delete(index);
    }
    for (const [index, want] of wanted) {
      if (there.has(index)) continue;
      await this.#change(name, {
        AttributeDefinitions: definition.attributes,
        GlobalSecondaryIndexUpdates: [{ Create: requestIndex(want) }],
      });
    }
    const view = object(existing['StreamSpecification'])['StreamViewType'];
    if (view === definition.streamView) return;
    if (view !== undefined) await this.#change(name, { StreamSpecification: { StreamEnabled: false } });
    if (definition.streamView !== undefined) {
      await this.#change(name, { StreamSpecification: { StreamEnabled: true, StreamViewType: definition.streamView } });
    }
  }

  /** Changes one thing and waits until the table is usable again: it takes one change of its indexes at a time. */
  async #change(name: string, change: JsonObject): Promise<void> {
    await this.#client.call(`${API}.UpdateTable`, { TableName: name, ...change });
    const limit = Date.now() + CHANGE_LIMIT;
    while (!(await this.#isSettled(name, limit))) await delay(20);
  }

  /** Whether the table and all its indexes are active. While DynamoDB Local drops an index it may fail to describe the table. */
  async #isSettled(name: string, limit: number): Promise<boolean> {
    try {
      const table = (await this.#describe(name)) ?? {};
      const indexes = table['GlobalSecondaryIndexes'];
      const states = [
        table['TableStatus'],
        ...(Array.isArray(indexes) ? indexes : []).map((index) => object(index)['IndexStatus']),
      ];
      return states.every((state) => state === 'ACTIVE');
    } catch (error) {
      if (!(error instanceof AwsError) || error.status < 500 || Date.now() > limit) throw error;
      return false;
    }
  }

  async #timeToLive(name: string, attribute: string | undefined): Promise<void> {
    const described = await this.#client.call(`${API}.DescribeTimeToLive`, { TableName: name });
    const { TimeToLiveStatus: status, AttributeName: current } = object(described['TimeToLiveDescription']);
    const enabled = status === 'ENABLED' || status === 'ENABLING' ? current : undefined;
    if (enabled === attribute) return;
    const set = (attributeName: Json, on: boolean) =>
      this.#client.call(`${API}.UpdateTimeToLive`, {
        TableName: name,
        TimeToLiveSpecification: { AttributeName: attributeName, Enabled: on },
      });
    if (enabled !== undefined) await set(enabled, false);
    if (attribute !== undefined) await set(attribute, true);
  }
}

/** What the two kinds of table resources have in common. */
export interface TableDefinition {
  readonly name: string | undefined;
  readonly attributes: Json[];
  readonly keys: Json[];
  readonly globalIndexes: Json[];
  readonly localIndexes: Json[];
  readonly streamView: string | undefined;
  readonly timeToLive: string | undefined;
  readonly keyArn: string | undefined;
  readonly policy: Json | undefined;
}

const commonDefinition = (fields: Fields): Omit<TableDefinition, 'keyArn' | 'policy'> => {
  const timeToLive = fields.optionalObject('TimeToLiveSpecification');
  return {
    name: fields.optionalText('TableName'),
    attributes: fields.list('AttributeDefinitions'),
    keys: fields.list('KeySchema'),
    globalIndexes: fields.list('GlobalSecondaryIndexes'),
    localIndexes: fields.list('LocalSecondaryIndexes'),
    streamView: fields.optionalObject('StreamSpecification')?.text('StreamViewType'),
    timeToLive: timeToLive?.flag('Enabled') === true ? timeToLive.text('AttributeName') : undefined,
  };
};

const COMMON_HONOURED = [
  'TableName',
  'AttributeDefinitions',
  'KeySchema',
  'GlobalSecondaryIndexes.IndexName',
  'GlobalSecondaryIndexes.KeySchema',
  'GlobalSecondaryIndexes.Projection',
  'LocalSecondaryIndexes',
  'StreamSpecification.StreamViewType',
  'TimeToLiveSpecification',
];

const ON_DEMAND = 'every table runs on demand and is never throttled; inject throttling with the fault plan';
const NO_RECOVERY = 'a local table is not backed up; what must last is kept with --data';
const NO_DELETION = 'the local cloud deletes no table';
const NO_TAGS = 'tags change nothing here';
const ONE_CLASS = 'there is one storage class here';
const NO_INSIGHTS = 'there is no CloudWatch here';
const NO_STORAGE_ENCRYPTION = 'local files are not encrypted; the permission on the key is enforced';

/** The table resource types. */
export const tableResources = (registry: () => Promise<TableRegistry>): ResourceType[] => [
  {
    type: 'AWS::DynamoDB::GlobalTable',
    honoured: [
      ...COMMON_HONOURED,
      'Replicas.Region',
      'Replicas.SSESpecification.KMSMasterKeyId',
      'Replicas.ResourcePolicy.PolicyDocument',
    ],
    leftOut: {
      BillingMode: ON_DEMAND,
      WriteProvisionedThroughputSettings: ON_DEMAND,
      WriteOnDemandThroughputSettings: ON_DEMAND,
      ReadProvisionedThroughputSettings: ON_DEMAND,
      ReadOnDemandThroughputSettings: ON_DEMAND,
      WarmThroughput: ON_DEMAND,
      'GlobalSecondaryIndexes.WriteProvisionedThroughputSettings': ON_DEMAND,
      'GlobalSecondaryIndexes.WriteOnDemandThroughputSettings': ON_DEMAND,
      'GlobalSecondaryIndexes.ReadProvisionedThroughputSettings': ON_DEMAND,
      'GlobalSecondaryIndexes.ReadOnDemandThroughputSettings': ON_DEMAND,
      'GlobalSecondaryIndexes.WarmThroughput': ON_DEMAND,
      SSESpecification: NO_STORAGE_ENCRYPTION,
      MultiRegionConsistency: 'there is one region here',
      GlobalTableWitnesses: 'there is one region here',
      'Replicas.PointInTimeRecoverySpecification': NO_RECOVERY,
      'Replicas.DeletionProtectionEnabled': NO_DELETION,
      'Replicas.ContributorInsightsSpecification': NO_INSIGHTS,
      'Replicas.TableClass': ONE_CLASS,
      'Replicas.Tags': NO_TAGS,
      'Replicas.GlobalSecondaryIndexes':
        'the indexes of every replica are those of the table; throughput and insights have no effect here',
      'Replicas.ReadOnDemandThroughputSettings': ON_DEMAND,
      'Replicas.ReadProvisionedThroughputSettings': ON_DEMAND,
    },
    async create(resource, cloud) {
      const fields = new Fields(resource.properties);
      // Only the replica of this region exists here.
      const replica = fields.objects('Replicas').find((candidate) => candidate.text('Region') === cloud.region);
      if (replica === undefined) {
        throw new Error(
          `${resource.logicalId}: the table has no replica in ${cloud.region}, the region of the local cloud`,
        );
      }
      const keyArn = replica.optionalObject('SSESpecification')?.optionalText('KMSMasterKeyId');
      const policy = replica.optionalObject('ResourcePolicy')?.raw['PolicyDocument'];
      return (await registry()).create(resource, { ...commonDefinition(fields), keyArn, policy });
    },
  },
  {
    type: 'AWS::DynamoDB::Table',
    honoured: [...COMMON_HONOURED, 'SSESpecification.KMSMasterKeyId', 'ResourcePolicy.PolicyDocument'],
    leftOut: {
      BillingMode: ON_DEMAND,
      ProvisionedThroughput: ON_DEMAND,
      OnDemandThroughput: ON_DEMAND,
      WarmThroughput: ON_DEMAND,
      'GlobalSecondaryIndexes.ProvisionedThroughput': ON_DEMAND,
      'GlobalSecondaryIndexes.OnDemandThroughput': ON_DEMAND,
      'GlobalSecondaryIndexes.WarmThroughput': ON_DEMAND,
      'GlobalSecondaryIndexes.ContributorInsightsSpecification': NO_INSIGHTS,
      'SSESpecification.SSEEnabled': NO_STORAGE_ENCRYPTION,
      'SSESpecification.SSEType': NO_STORAGE_ENCRYPTION,
      PointInTimeRecoverySpecification: NO_RECOVERY,
      DeletionProtectionEnabled: NO_DELETION,
      ContributorInsightsSpecification: NO_INSIGHTS,
      TableClass: ONE_CLASS,
      Tags: NO_TAGS,
    },
    async create(resource) {
      const fields = new Fields(resource.properties);
      return (await registry()).create(resource, {
        ...commonDefinition(fields),
        keyArn: fields.optionalObject('SSESpecification')?.optionalText('KMSMasterKeyId'),
        policy: fields.optionalObject('ResourcePolicy')?.raw['PolicyDocument'],
      });
    },
  },
];
