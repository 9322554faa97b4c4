import { GetCommand, QueryCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import * as v from 'valibot';
import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { bySite, sitePartition as devicesOfSite } from '../devices/keys.ts';
import { auditPart, type WritePart } from '../devices/store.ts';
import { Site, Unit } from './place.ts';

/** Partition key of a site, its units and its audit trail in the Directory table. */
export const sitePartition = (siteId: string): string => `SITE#${siteId}`;

/** Partition key of the audit trail of what concerns no site: attempts to create one. */
export const organizationPartition = 'ORGANIZATION';

const siteSortKey = 'SITE';
/** What the sort keys of units begin with. */
export const unitPrefix = 'UNIT#';
/** Partition of the index `byKind` that lists the sites by name. */
const siteKind = 'SITE';

/** A page of a list. */
export interface Page<Entry> {
  readonly items: readonly Entry[];
  /** Where to go on; missing on the last page. */
  readonly after?: string;
}

/** Reads a site consistently: 1 read unit. */
export async function getSite(directory: Table, siteId: string): Promise<Site | undefined> {
  const item = await getItem(directory, sitePartition(siteId), siteSortKey);
  return item === undefined ? undefined : v.parse(Site, item);
}

/** Reads a care unit consistently: 1 read unit. */
export async function getUnit(directory: Table, siteId: string, unitId: string): Promise<Unit | undefined> {
  const item = await getItem(directory, sitePartition(siteId), unitPrefix + unitId);
  return item === undefined ? undefined : v.parse(Unit, item);
}

async function getItem(table: Table, pk: string, sk: string): Promise<Item | undefined> {
  const answer = await table.client.send(
    new GetCommand({ TableName: table.name, Key: { pk, sk }, ConsistentRead: true }),
  );
  return answer.Item;
}

/** Sites and care units in the Directory table. */
export class PlaceStore {
  readonly #table: Table;
  readonly #devices: Table;

  /**
   * @param directory the Directory table
   * @param devices the Devices table, which is asked only whether a place is empty
   */
  constructor(directory: Table, devices: Table) {
    this.#table = directory;
    this.#devices = devices;
  }

  /** The site, or undefined. 1 read unit. */
  getSite(siteId: string): Promise<Site | undefined> {
    return getSite(this.#table, siteId);
  }

  /** The unit, or undefined. 1 read unit. */
  getUnit(siteId: string, unitId: string): Promise<Unit | undefined> {
    return getUnit(this.#table, siteId, unitId);
  }

  /** Sites by name: one request to the index, which may lag by a moment. `after` is a position of the page before. */
  async listSites(limit: number, after?: string): Promise<Page<Site>> {
    const answer = await this.#table.client.send(
      new QueryCommand({
        TableName: this.#table.name,
        IndexName: 'byKind',
        KeyConditionExpression: 'gsi1pk = :kind',
        ExpressionAttributeValues: { ':kind': siteKind },
        Limit: limit,
        ...(after === undefined ? {} : { ExclusiveStartKey: siteIndexKey(after) }),
      }),
    );
    return pageOf(answer, (item) => v.parse(Site, item), 'gsi1sk');
  }

  /** Units of a site in order of creation: one request. */
  async listUnits(siteId: string, limit: number, after?: string): Promise<Page<Unit>> {
    const answer = await this.#table.client.send(
      new QueryCommand({
        TableName: this.#table.name,
        KeyConditionExpression: 'pk = :site AND begins_with(sk, :unit)',
        ExpressionAttributeValues: { ':site': sitePartition(siteId), ':unit': unitPrefix },
        ConsistentRead: true,
        Limit: limit,
        ...(after === undefined ? {} : { ExclusiveStartKey: { pk: sitePartition(siteId), sk: after } }),
      }),
    );
    return pageOf(answer, (item) => v.parse(Unit, item), 'sk');
  }

  /** Stores a new site with its audit record; false, and nothing written, when there is one with its id. */
  createSite(site: v.InferInput<typeof Site>, audit: AuditItem): Promise<boolean> {
    return this.#attempt([
      {
        Put: {
          TableName: this.#table.name,
          Item: { ...siteItem(site), units: 0 },
          ConditionExpression: 'attribute_not_exists(pk)',
        },
      },
      auditPart(this.#table, audit),
    ]);
  }

  /** Changes a site; false, and nothing written, when it is no longer at the version before. */
  updateSite(site: Site, audit: AuditItem, more: readonly WritePart[] = []): Promise<boolean> {
    const { name, timeZone, maintenanceWindows, blackouts, freezes, updatedAt, version } = site;
    const { pk, sk, gsi1sk } = siteItem(site);
    return this.#attempt([
      {
        Update: {
          TableName: this.#table.name,
          Key: { pk, sk },
          UpdateExpression:
            'SET #name = :name, #zone = :zone, maintenanceWindows = :windows, blackouts = :blackouts, ' +
            'freezes = :freezes, updatedAt = :at, version = :new, gsi1sk = :position',
          ConditionExpression: 'version = :old',
          ExpressionAttributeNames: { '#name': 'name', '#zone': 'timeZone' },
          ExpressionAttributeValues: {
            ':name': name,
            ':zone': timeZone,
            ':windows': maintenanceWindows,
            ':blackouts': blackouts,
            ':freezes': freezes,
            ':at': updatedAt,
            ':new': version,
            ':old': version - 1,
            ':position': gsi1sk,
          },
        },
      },
      auditPart(this.#table, audit),
      ...more,
    ]);
  }

  /**
   * Deletes a site that has no units. False, and nothing written, when it was changed since, or has a unit: the count
   * on the site is kept by the transactions that create and delete units.
   */
  deleteSite(site: Site, audit: AuditItem): Promise<boolean> {
    return this.#attempt([
      {
        Delete: {
          TableName: this.#table.name,
          Key: { pk: sitePartition(site.id), sk: siteSortKey },
          ConditionExpression: 'version = :seen AND units = :none',
          ExpressionAttributeValues: { ':seen': site.version, ':none': 0 },
        },
      },
      auditPart(this.#table, audit),
    ]);
  }

  /** Stores a new unit; false, and nothing written, when its site does not exist, or a unit with its id does. */
  createUnit(unit: Unit, audit: AuditItem): Promise<boolean> {
    return this.#attempt([
      this.#countUnits(unit.siteId, 1),
      {
        Put: {
          TableName: this.#table.name,
          Item: unitItem(unit),
          ConditionExpression: 'attribute_not_exists(pk)',
        },
      },
      auditPart(this.#table, audit),
    ]);
  }

  /** Changes a unit; false, and nothing written, when it is no longer at the version before. */
  updateUnit(unit: Unit, audit: AuditItem, more: readonly WritePart[] = []): Promise<boolean> {
    return this.#attempt([
      {
        Put: {
          TableName: this.#table.name,
          Item: unitItem(unit),
          ConditionExpression: 'version = :old',
          ExpressionAttributeValues: { ':old': unit.version - 1 },
        },
      },
      auditPart(this.#table, audit),
      ...more,
    ]);
  }

  /** Deletes a unit; false, and nothing written, when it was changed since. */
  deleteUnit(unit: Unit, audit: AuditItem): Promise<boolean> {
    return this.#attempt([
      this.#countUnits(unit.siteId, -1),
      {
        Delete: {
          TableName: this.#table.name,
          Key: { pk: sitePartition(unit.siteId), sk: unitPrefix + unit.id },
          ConditionExpression: 'version = :seen',
          ExpressionAttributeValues: { ':seen': unit.version },
        },
      },
      auditPart(this.#table, audit),
    ]);
  }

  /**
   * Whether a device is placed at the site (or in the unit). Asks an index, so that a device that was placed within the
   * last moment may be missed; such a device keeps the id of a place that is gone and can be moved like any other.
   */
  async hasDevices(siteId: string, unitId?: string): Promise<boolean> {
    const answer = await this.#devices.client.send(
      new QueryCommand({
        TableName: this.#devices.name,
        IndexName: bySite,
        KeyConditionExpression:
          unitId === undefined ? 'gsi1pk = :site' : 'gsi1pk = :site AND begins_with(gsi1sk, :unit)',
        ExpressionAttributeValues: {
          ':site': devicesOfSite(siteId),
          ...(unitId === undefined ? {} : { ':unit': `${unitId}#` }),
        },
        Limit: 1,
      }),
    );
    return (answer.Items ?? []).length > 0;
  }

  #countUnits(siteId: string, change: 1 | -1): WritePart {
    return {
      Update: {
        TableName: this.#table.name,
        Key: { pk: sitePartition(siteId), sk: siteSortKey },
        UpdateExpression: 'ADD units :change',
        ConditionExpression: 'attribute_exists(pk)',
        ExpressionAttributeValues: { ':change': change },
      },
    };
  }

  async #attempt(parts: readonly WritePart[]): Promise<boolean> {
    try {
      await this.#write(parts);
      return true;
    } catch (error) {
      if (cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed')) return false;
      throw error;
    }
  }

  async #write(parts: readonly WritePart[]): Promise<void> {
    await retryContention(() => this.#table.client.send(new TransactWriteCommand({ TransactItems: [...parts] })));
  }
}

function siteItem(site: v.InferInput<typeof Site>) {
  return {
    pk: sitePartition(site.id),
    sk: siteSortKey,
    gsi1pk: siteKind,
    // By name as people sort; the id makes it unique and lets a cursor be only this key.
    gsi1sk: `${site.name.toLowerCase()}#${site.id}`,
    ...site,
  };
}

function siteIndexKey(position: string): Item {
  const siteId = position.slice(position.lastIndexOf('#') + 1);
  return { gsi1pk: siteKind, gsi1sk: position, pk: sitePartition(siteId), sk: siteSortKey };
}

function unitItem(unit: Unit) {
  return { pk: sitePartition(unit.siteId), sk: unitPrefix + unit.id, ...unit };
}

function pageOf<Entry>(
  answer: { Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined },
  parse: (item: Item) => Entry,
  positionKey: 'sk' | 'gsi1sk',
): Page<Entry> {
  const items = (answer.Items ?? []).map(parse);
  const after = answer.LastEvaluatedKey?.[positionKey];
  return typeof after === 'string' ? { items, after } : { items };
}
