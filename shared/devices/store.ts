import {
  GetCommand,
  QueryCommand,
  type QueryCommandInput,
  ScanCommand,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import type { AuditItem } from '../audit/record.ts';
import { batchGet } from '../aws/batch-get.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item, isConditionFailed, itemOfFailedCondition } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { Compliance } from '../compliance/assess.ts';
import { problems } from '../http/problem.ts';
import { type Device, type DeviceId, deviceIdOf, Lifecycle, normalizeSerial, type Presence } from './device.ts';
import type { HeadChanges } from './head-changes.ts';
import {
  bySite,
  certificatePartition,
  devicePartition,
  nowhere,
  sitePartition,
  sortKeys,
  unitSortKey,
} from './keys.ts';

/** One write of a transaction, in the document client's words. */
export type WritePart = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/** What a person or an enrolment decides about a device; the rest the device reports or Wardline keeps. */
export type Placement = Partial<Pick<Device, 'siteId' | 'unitId' | 'name' | 'location' | 'model' | 'user'>>;

/** What is known of a device before it was ever seen. */
export type NewDevice = Pick<Device, 'serial' | 'platform' | 'class' | 'ownership'> & Placement;

/** The device, or undefined. 0.5 read units; 1 with `consistent`, for what is decided on it. */
export async function getDevice(
  table: Table,
  id: DeviceId,
  options: { readonly consistent?: boolean } = {},
): Promise<Device | undefined> {
  const { Item } = await table.client.send(
    new GetCommand({
      TableName: table.name,
      Key: { pk: devicePartition(id), sk: sortKeys.head },
      ConsistentRead: options.consistent ?? false,
    }),
  );
  return Item === undefined ? undefined : deviceOf(Item);
}

/** The devices of these ids, in their order, without those that do not exist. 0.5 read units each, 100 in a request. */
export async function getDevices(table: Table, ids: readonly DeviceId[]): Promise<Device[]> {
  const items = await batchGet(
    table,
    ids.map((id) => ({ pk: devicePartition(id), sk: sortKeys.head })),
  );
  const found = new Map(items.map((item) => [item['pk'], deviceOf(item)]));
  return ids.flatMap((id) => found.get(devicePartition(id)) ?? []);
}

/** What the inventory or posture report says, with when (device's clock, held against ours). 0.5 read units per 4 KB. */
export async function getReport(
  table: Table,
  id: DeviceId,
  kind: 'inventory' | 'posture',
): Promise<{ readonly at: string; readonly report: Readonly<Record<string, unknown>> } | undefined> {
  const { Item } = await table.client.send(
    new GetCommand({ TableName: table.name, Key: { pk: devicePartition(id), sk: sortKeys[kind] } }),
  );
  return Item === undefined
    ? undefined
    : { at: String(Item['at']), report: JSON.parse(String(Item['report'])) as Readonly<Record<string, unknown>> };
}

/** The reports of a check-in that are new, as the device sent them. */
export type NewReports = { readonly [Kind in 'inventory' | 'posture']?: Readonly<Record<string, unknown>> };

/**
 * Writes what a check-in changes of the head, if the head still is what the change was decided on. One write unit per
 * KB of the head; with reports a transaction, so that the head never names a report that is not there.
 *
 * @returns true when written; otherwise the head as it is now, to decide again; undefined when it is gone
 */
export async function saveHeadChanges(
  table: Table,
  seen: Device,
  changes: HeadChanges,
  reports: NewReports,
): Promise<true | Device | undefined> {
  const head = {
    TableName: table.name,
    Key: { pk: devicePartition(seen.id), sk: sortKeys.head },
    ...headUpdate(seen, changes),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  } as const;
  const parts = Object.entries(reports).flatMap(([kind, report]) => reportPart(table, seen.id, kind, report, changes));
  try {
    if (parts.length === 0) await table.client.send(new UpdateCommand(head));
    else await transact(table, [{ Update: head }, ...parts]);
    return true;
  } catch (error) {
    if (isConditionFailed(error)) {
      const current = itemOfFailedCondition(error);
      return current === undefined ? undefined : deviceOf(current);
    }
    const first = cancellationsOf(error)?.[0];
    if (first?.code !== 'ConditionalCheckFailed') throw error;
    return first.item === undefined ? undefined : deviceOf(first.item);
  }
}

/** Sections that are compared as they were seen: whoever was faster is looked at again. */
const sections = ['clinical', 'inventory', 'posture', 'reportedVersion', 'reportedAt'] as const;

function headUpdate(seen: Device, changes: HeadChanges) {
  const { promotes, ...values } = changes;
  const names = Object.keys(values);
  const conditions = [
    '#lifecycle = :enrolled',
    promotes ? '#nextCertificate = :certificate' : '#certificate = :pinned',
  ];
  const used: Record<string, unknown> = { ':enrolled': Lifecycle.Enrolled };
  if (!promotes) used[':pinned'] = seen.certificate;
  for (const name of sections.filter((section) => names.includes(section))) {
    const before = seen[name];
    conditions.push(before === undefined ? `attribute_not_exists(#${name})` : `#${name} = :${name}Seen`);
    if (before !== undefined) used[`:${name}Seen`] = before;
  }
  if (values.lastSeenAt !== undefined) {
    conditions.push('(attribute_not_exists(#lastSeenAt) OR #lastSeenAt < :lastSeenAt)');
  }
  const removed = promotes ? ['nextCertificate', 'nextCertificateExpiresAt'] : [];
  const named = new Set([...names, ...removed, 'lifecycle', promotes ? 'nextCertificate' : 'certificate']);
  return {
    UpdateExpression: [
      `SET ${names.map((name) => `#${name} = :${name}`).join(', ')}`,
      ...(removed.length > 0 ? [`REMOVE ${removed.map((name) => `#${name}`).join(', ')}`] : []),
    ].join(' '),
    ConditionExpression: conditions.join(' AND '),
    ExpressionAttributeNames: Object.fromEntries([...named].map((name) => [`#${name}`, name])),
    ExpressionAttributeValues: {
      ...used,
      ...Object.fromEntries(Object.entries(values).map(([name, value]) => [`:${name}`, value])),
    },
  };
}

/** The report beside the head. As JSON text: a device's own words may hold what DynamoDB's types do not. */
function reportPart(
  table: Table,
  id: DeviceId,
  kind: string,
  report: Readonly<Record<string, unknown>>,
  changes: HeadChanges,
): WritePart[] {
  if (kind !== 'inventory' && kind !== 'posture') return [];
  const stored = changes[kind];
  if (stored === undefined) return [];
  const Item = { pk: devicePartition(id), sk: sortKeys[kind], ...stored, report: JSON.stringify(report) };
  return [{ Put: { TableName: table.name, Item } }];
}

/**
 * Writes the presence, if what is known is surely older; which it is, unless events come in disorder. One write unit.
 *
 * @param seen the presence that the caller has decided against; without it, the condition decides
 * @returns true when written; otherwise the device as it is now; undefined when there is none
 */
export async function savePresence(
  table: Table,
  id: DeviceId,
  presence: Presence,
  seen?: Presence,
): Promise<true | Device | undefined> {
  const surelyOlder =
    'attribute_not_exists(presence) OR (presence.sessionId <> :session AND presence.#at < :at AND presence.#version < :version)';
  const ends = 'presence.sessionId = :session AND presence.connected = :true';
  const unseen = {
    condition: presence.connected ? surelyOlder : `${surelyOlder} OR (${ends})`,
    names: { '#at': 'at', '#version': 'version' },
    values: {
      ':session': presence.sessionId,
      ':at': presence.at,
      ':version': presence.version,
      ...(presence.connected ? {} : { ':true': true }),
    },
  };
  const decided = { condition: 'presence = :seen', names: undefined, values: { ':seen': seen } };
  const { condition, names, values } = seen === undefined ? unseen : decided;
  try {
    await table.client.send(
      new UpdateCommand({
        TableName: table.name,
        Key: { pk: devicePartition(id), sk: sortKeys.head },
        UpdateExpression: 'SET presence = :presence',
        ConditionExpression: `attribute_exists(pk) AND (${condition})`,
        ...(names === undefined ? {} : { ExpressionAttributeNames: names }),
        ExpressionAttributeValues: { ':presence': presence, ...values },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      }),
    );
    return true;
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
    const current = itemOfFailedCondition(error);
    return current === undefined ? undefined : deviceOf(current);
  }
}

/** What the device should be like, as the agent protocol hands it over. */
export interface DesiredState {
  readonly version: number;
  readonly state: Readonly<Record<string, unknown>>;
}

/** The desired state; undefined when none was set. 0.5 read units per 4 KB. */
export async function getDesiredState(table: Table, id: DeviceId): Promise<DesiredState | undefined> {
  const { Item } = await table.client.send(
    new GetCommand({ TableName: table.name, Key: { pk: devicePartition(id), sk: sortKeys.desired } }),
  );
  if (Item === undefined) return undefined;
  return {
    version: Number(Item['version']),
    state: JSON.parse(String(Item['state'])) as Readonly<Record<string, unknown>>,
  };
}

/** Largest desired state, in bytes of JSON: with the commands of a reply it fits into one MQTT message. */
const desiredStateLimitBytes = 64 * 1_024;

/**
 * The writes that give a device another desired state: the document and its version on the head, one higher than what
 * was read. Condition: nobody else set one since.
 *
 * @throws ProblemError 413 when the state would not fit into a reply
 */
export function desiredStateParts(table: Table, seen: Device, state: DesiredState['state']): WritePart[] {
  const text = JSON.stringify(state);
  if (Buffer.byteLength(text) > desiredStateLimitBytes) {
    throw problems.tooLarge(
      `A desired state may have at most ${desiredStateLimitBytes} bytes.`,
      desiredStateLimitBytes,
    );
  }
  const pk = devicePartition(seen.id);
  const version = seen.desiredVersion + 1;
  return [
    {
      Update: {
        TableName: table.name,
        Key: { pk, sk: sortKeys.head },
        UpdateExpression: 'SET desiredVersion = :next',
        ConditionExpression: 'desiredVersion = :seen',
        ExpressionAttributeValues: { ':seen': seen.desiredVersion, ':next': version },
      },
    },
    {
      Put: {
        TableName: table.name,
        Item: { pk, sk: sortKeys.desired, version, state: text },
      },
    },
  ];
}

/** Which devices to list. The first four are decided in the index, `matches` on the whole device. */
export interface DeviceFilter {
  /** Only these sites; undefined = all sites and devices without a site. */
  readonly siteIds?: readonly string[];
  /** Only this unit; needs exactly one site. */
  readonly unitId?: string;
  readonly equal?: Partial<Pick<Device, 'platform' | 'class' | 'ownership' | 'lifecycle' | 'user' | 'compliance'>>;
  readonly matches?: (device: Device) => boolean;
}

/** Where a list goes on: after this key of the index. `site` counts `siteIds`; without them it is the site's partition. */
export interface ListPosition {
  readonly site: number | string;
  readonly after?: string;
}

/** One page. `next` is there when there may be more; a page can be short, or empty, with a filter that rarely matches. */
export interface DevicePage {
  readonly devices: readonly Device[];
  readonly next?: ListPosition;
}

/** At most this many requests to the index for one page. */
export const maxIndexRequests = 4;
const evaluatedPerRequest = { keys: 1000, devices: 200 } as const;

/**
 * One page of devices by site, unit, id. At most `maxIndexRequests` requests to the index, each followed by the reads
 * of just the heads that go into the page (with `matches`: at most 200 heads, two requests).
 */
export async function listDevices(
  table: Table,
  filter: DeviceFilter,
  limit: number,
  position?: ListPosition,
): Promise<DevicePage> {
  const devices: Device[] = [];
  let at: ListPosition | undefined = position ?? { site: filter.siteIds === undefined ? '' : 0 };
  for (let requests = 0; requests < maxIndexRequests && at !== undefined; requests += 1) {
    const page: IndexPage = await readIndex(table, filter, limit - devices.length, at);
    for (const device of await getDevices(
      table,
      page.entries.map((entry) => entry.id),
    )) {
      if (filter.matches?.(device) ?? true) devices.push(device);
      if (devices.length === limit) {
        const last = page.entries.findIndex((entry) => entry.id === device.id);
        const next = last + 1 < page.entries.length ? page.entries[last]?.position : page.next;
        return { devices, ...(next === undefined ? {} : { next }) };
      }
    }
    at = page.next;
  }
  return { devices, ...(at === undefined ? {} : { next: at }) };
}

interface IndexPage {
  readonly entries: readonly { readonly id: DeviceId; readonly position: ListPosition }[];
  readonly next?: ListPosition;
}

/** One request to the index, from `at` on. With `matches` it reads more keys than are missing, because some will not match. */
async function readIndex(table: Table, filter: DeviceFilter, missing: number, at: ListPosition): Promise<IndexPage> {
  const equal = Object.entries(filter.equal ?? {}).filter(([, value]) => value !== undefined);
  const names = Object.fromEntries(equal.map(([name]) => [`#${name}`, name]));
  const values = Object.fromEntries(equal.map(([name, value]) => [`:${name}`, value]));
  const expression = equal.map(([name, value]) => equals(name, value)).join(' AND ');
  const common = {
    TableName: table.name,
    IndexName: bySite,
    Limit: filter.matches ? evaluatedPerRequest.devices : equal.length > 0 ? evaluatedPerRequest.keys : missing,
    ...(expression === '' ? {} : { FilterExpression: expression, ExpressionAttributeNames: names }),
  };
  const { siteIds } = filter;
  if (siteIds === undefined) {
    const answer = await table.client.send(
      new ScanCommand({
        ...common,
        ...(expression === '' ? {} : { ExpressionAttributeValues: values }),
        ...startOf(String(at.site), at.after),
      }),
    );
    return indexPage(answer, filter, missing, (item) => String(item['gsi1pk']), undefined);
  }
  const site = Number(at.site);
  const siteId = siteIds[site];
  if (siteId === undefined) return { entries: [] };
  const answer = await table.client.send(
    new QueryCommand({
      ...common,
      KeyConditionExpression:
        filter.unitId === undefined ? 'gsi1pk = :site' : 'gsi1pk = :site AND begins_with(gsi1sk, :unit)',
      ExpressionAttributeValues: {
        ...values,
        ':site': sitePartition(siteId),
        ...(filter.unitId === undefined ? {} : { ':unit': `${filter.unitId}#` }),
      },
      ...startOf(sitePartition(siteId), at.after),
    }),
  );
  return indexPage(answer, filter, missing, () => site, site + 1 < siteIds.length ? { site: site + 1 } : undefined);
}

/** A device that never reported is of unknown compliance without saying so. */
function equals(name: string, value: unknown): string {
  const same = `#${name} = :${name}`;
  return value === Compliance.Unknown ? `(${same} OR attribute_not_exists(#${name}))` : same;
}

function startOf(partition: string, after: string | undefined): Pick<QueryCommandInput, 'ExclusiveStartKey'> {
  if (after === undefined) return {};
  const id = after.slice(after.indexOf('#') + 1);
  return { ExclusiveStartKey: { gsi1pk: partition, gsi1sk: after, pk: devicePartition(id), sk: sortKeys.head } };
}

/** Cuts what the index gave to what the page lacks; a cut page goes on after its last entry. */
function indexPage(
  answer: { Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined },
  filter: DeviceFilter,
  missing: number,
  siteOf: (item: Item) => number | string,
  afterwards: ListPosition | undefined,
): IndexPage {
  const positionOf = (item: Item): ListPosition => ({ site: siteOf(item), after: String(item['gsi1sk']) });
  const all = (answer.Items ?? []).map((item) => ({ id: idOf(item), position: positionOf(item) }));
  const entries = filter.matches ? all : all.slice(0, missing);
  const cut = entries.length < all.length ? entries.at(-1)?.position : undefined;
  const next = cut ?? (answer.LastEvaluatedKey === undefined ? afterwards : positionOf(answer.LastEvaluatedKey));
  return { entries, ...(next === undefined ? {} : { next }) };
}

/** What became of a pre-registration. */
export type Registration =
  | { readonly outcome: 'created' | 'unchanged'; readonly device: Device }
  /** The serial is known with other data, or is enrolled: `device` is what is there. */
  | { readonly outcome: 'exists'; readonly device: Device };

/**
 * Pre-registers a device, so that it may enrol. The same registration again changes nothing; a revoked device is
 * expected anew. One transaction of two writes.
 *
 * @param audit the record of the change, made for the id of the device
 * @param mayReplace asked before the record of a revoked device is taken over; `exists` when it says no
 */
export async function putExpectedDevice(
  table: Table,
  device: NewDevice,
  audit: (id: DeviceId) => AuditItem,
  now: Date,
  mayReplace: (revoked: Device) => boolean = () => true,
): Promise<Registration> {
  const id = deviceIdOf(device.serial);
  const known = await getDevice(table, id, { consistent: true });
  if (known !== undefined && known.lifecycle !== Lifecycle.Revoked) return compareRegistration(known, device);
  if (known !== undefined && !mayReplace(known)) return { outcome: 'exists', device: known };
  const expected = newDevice(device, now, known);
  try {
    await transact(table, [
      {
        Put: {
          TableName: table.name,
          Item: headItem(expected),
          ...(known === undefined
            ? { ConditionExpression: 'attribute_not_exists(pk)' }
            : versionCondition(known.version)),
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      },
      auditPart(table, audit(id)),
    ]);
  } catch (error) {
    const current = cancellationsOf(error)?.[0]?.item;
    if (current === undefined) throw error;
    return compareRegistration(deviceOf(current), device);
  }
  return { outcome: 'created', device: expected };
}

function compareRegistration(known: Device, wanted: NewDevice): Registration {
  const same =
    known.platform === wanted.platform &&
    known.class === wanted.class &&
    known.ownership === wanted.ownership &&
    known.siteId === wanted.siteId &&
    known.unitId === wanted.unitId &&
    known.name === wanted.name &&
    known.location === wanted.location &&
    known.model === wanted.model &&
    known.user === wanted.user;
  return { outcome: same ? 'unchanged' : 'exists', device: known };
}

/** What the management API may change; `null` removes the attribute. */
export type DeviceChanges = {
  readonly [Name in 'siteId' | 'unitId' | 'name' | 'location' | 'model' | 'user']?: string | null;
} & Partial<Pick<Device, 'class' | 'ownership'>>;

/**
 * Changes a device, with its audit record, in one transaction.
 *
 * @param seen the version that the caller has read (If-Match), or `any`
 * @throws ProblemError 404, or 412 when the device was changed since
 */
export async function updateDevice(
  table: Table,
  id: DeviceId,
  seen: number | 'any',
  changes: DeviceChanges,
  audit: (before: Device, after: Device) => AuditItem,
): Promise<Device> {
  return changeDevice(table, id, seen, (before) => applyChanges(before, changes), audit);
}

/**
 * Ends the device's right to speak: from now on each check-in is refused. Its certificates stay on the record, so
 * that the caller can switch them off at the broker. Revoking twice changes nothing.
 *
 * @param more writes for the same transaction; when a condition of one of them fails, DynamoDB's error is thrown
 * @throws ProblemError 404, or 412 when the device was changed since `seen`
 */
export async function revokeDevice(
  table: Table,
  id: DeviceId,
  seen: number | 'any',
  audit: (before: Device, after: Device) => AuditItem,
  more: readonly WritePart[] = [],
): Promise<Device> {
  return changeDevice(table, id, seen, (before) => ({ ...before, lifecycle: Lifecycle.Revoked }), audit, more);
}

async function changeDevice(
  table: Table,
  id: DeviceId,
  seen: number | 'any',
  change: (before: Device) => Device,
  audit: (before: Device, after: Device) => AuditItem,
  more: readonly WritePart[] = [],
): Promise<Device> {
  return retryContention(async () => {
    const before = await getDevice(table, id, { consistent: true });
    if (before === undefined) throw problems.notFound('There is no device with this id.');
    if (seen !== 'any' && seen !== before.version) throw changedMeanwhile();
    const wanted = change(before);
    if (!managed.some((name) => wanted[name] !== before[name])) return before;
    const after = { ...wanted, version: before.version + 1 };
    try {
      await transact(table, [managedUpdate(table, before, after), auditPart(table, audit(before, after)), ...more]);
    } catch (error) {
      if (cancellationsOf(error)?.[0]?.code === 'ConditionalCheckFailed') throw changedMeanwhile();
      throw error;
    }
    return after;
  });
}

const changedMeanwhile = () =>
  problems.preconditionFailed(
    'The device was changed after you read it. Read it again, look at the change, then decide.',
  );

/** The attributes that people change; check-ins touch only the others, so that neither overwrites the other. */
const managed = ['siteId', 'unitId', 'name', 'location', 'model', 'user', 'class', 'ownership', 'lifecycle'] as const;

function applyChanges(before: Device, changes: DeviceChanges): Device {
  const merged = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(merged) as unknown as Device;
}

/** The update of just the managed attributes that differ, and of the index keys, on the version that was read. */
function managedUpdate(table: Table, before: Device, after: Device): WritePart {
  const differing = managed
    .filter((name) => name !== 'siteId' && name !== 'unitId')
    .filter((name) => before[name] !== after[name]);
  const set = differing.filter((name) => after[name] !== undefined);
  const remove = differing.filter((name) => after[name] === undefined);
  return {
    Update: {
      TableName: table.name,
      Key: { pk: devicePartition(before.id), sk: sortKeys.head },
      UpdateExpression: [
        `SET ${['version', 'gsi1pk', 'gsi1sk', ...set].map((name) => `#${name} = :${name}`).join(', ')}`,
        ...(remove.length > 0 ? [`REMOVE ${remove.map((name) => `#${name}`).join(', ')}`] : []),
      ].join(' '),
      ConditionExpression: '#version = :seen',
      ExpressionAttributeNames: Object.fromEntries(
        ['version', 'gsi1pk', 'gsi1sk', ...differing].map((name) => [`#${name}`, name]),
      ),
      ExpressionAttributeValues: {
        ':seen': before.version,
        ':version': after.version,
        ':gsi1pk': sitePartition(after.siteId),
        ':gsi1sk': unitSortKey(after.unitId, after.id),
        ...Object.fromEntries(set.map((name) => [`:${name}`, after[name]])),
      },
    },
  };
}

/** A certificate that was issued to a device. */
export interface IssuedCertificate {
  /** SHA-256 of its DER, lower-case hex. */
  readonly fingerprint: string;
  readonly expiresAt: Date;
  /** What else is kept of it on its item: the PEM, the hash of its key, the token that it was issued for. */
  readonly record?: Item;
}

/**
 * The writes that enrol an expected device: pins the certificate, and takes the certificate for this device for ever.
 * Condition: still the version that was read, still expected.
 *
 * @param placement where the device belongs from now on (its own place, or what the token adds to it)
 */
export function enrolExpected(
  table: Table,
  device: Device,
  certificate: IssuedCertificate,
  now: Date,
  placement: Pick<Device, 'siteId' | 'unitId'> = device,
): WritePart[] {
  const { siteId, unitId } = placement;
  return [
    {
      Update: {
        TableName: table.name,
        Key: { pk: devicePartition(device.id), sk: sortKeys.head },
        UpdateExpression:
          'SET lifecycle = :enrolled, enrolledAt = :now, certificate = :certificate, certificateSince = :now, ' +
          'certificateExpiresAt = :expires, version = version + :one, gsi1pk = :site, gsi1sk = :unit ' +
          'REMOVE nextCertificate, nextCertificateExpiresAt, clinical, presence, inventory, posture, power, compliance, lastSeenAt, reportedVersion, reportedAt',
        ConditionExpression: 'lifecycle = :expected AND version = :seen',
        ExpressionAttributeValues: {
          ':enrolled': Lifecycle.Enrolled,
          ':expected': Lifecycle.Expected,
          ':seen': device.version,
          ':one': 1,
          ':site': sitePartition(siteId),
          ':unit': unitSortKey(unitId, device.id),
          ...certificateValues(certificate, now),
        },
      },
    },
    certificatePart(table, device.id, certificate, now),
  ];
}

/**
 * The writes that enrol a device nobody registered before (its token allows that). Condition: no record of this
 * serial exists.
 */
export function enrolUnregistered(
  table: Table,
  device: NewDevice,
  certificate: IssuedCertificate,
  now: Date,
): WritePart[] {
  const time = now.toISOString();
  const enrolled: Device = {
    ...newDevice(device, now),
    lifecycle: Lifecycle.Enrolled,
    enrolledAt: time,
    certificate: certificate.fingerprint,
    certificateSince: time,
    certificateExpiresAt: certificate.expiresAt.toISOString(),
  };
  return [
    { Put: { TableName: table.name, Item: headItem(enrolled), ConditionExpression: 'attribute_not_exists(pk)' } },
    certificatePart(table, enrolled.id, certificate, now),
  ];
}

/**
 * The writes that renew: the new certificate waits on the record and becomes the pinned one at its first check-in, so
 * that a reply lost on the way leaves the device with a certificate that works. Condition: the device is enrolled, and
 * the pinned and the waiting certificate are still those of `device`. A renewal that was never used is replaced.
 */
export function renewCertificate(table: Table, device: Device, certificate: IssuedCertificate, now: Date): WritePart[] {
  return [
    {
      Update: {
        TableName: table.name,
        Key: { pk: devicePartition(device.id), sk: sortKeys.head },
        UpdateExpression:
          'SET nextCertificate = :certificate, nextCertificateExpiresAt = :expires, version = version + :one',
        ConditionExpression: `lifecycle = :enrolled AND certificate = :pinned AND ${
          device.nextCertificate === undefined ? 'attribute_not_exists(nextCertificate)' : 'nextCertificate = :waiting'
        }`,
        ExpressionAttributeValues: {
          ':enrolled': Lifecycle.Enrolled,
          ':pinned': device.certificate,
          ...(device.nextCertificate === undefined ? {} : { ':waiting': device.nextCertificate }),
          ':one': 1,
          ':certificate': certificate.fingerprint,
          ':expires': certificate.expiresAt.toISOString(),
        },
      },
    },
    certificatePart(table, device.id, certificate, now),
  ];
}

const certificateValues = (certificate: IssuedCertificate, now: Date) => ({
  ':certificate': certificate.fingerprint,
  ':expires': certificate.expiresAt.toISOString(),
  ':now': now.toISOString(),
});

function certificatePart(table: Table, id: DeviceId, certificate: IssuedCertificate, now: Date): WritePart {
  return {
    Put: {
      TableName: table.name,
      Item: {
        pk: certificatePartition(certificate.fingerprint),
        sk: sortKeys.certificate,
        deviceId: id,
        issuedAt: now.toISOString(),
        expiresAt: certificate.expiresAt.toISOString(),
        ...certificate.record,
      },
      ConditionExpression: 'attribute_not_exists(pk) OR deviceId = :device',
      ExpressionAttributeValues: { ':device': id },
    },
  };
}

/** The audit record as part of a transaction. It never takes the place of another one. */
export const auditPart = (table: Table, audit: AuditItem): WritePart => ({
  Put: { TableName: table.name, Item: audit, ConditionExpression: 'attribute_not_exists(pk)' },
});

/** Carries parts out: all or none. Parts may name different tables. */
export async function transact(table: Table, parts: readonly WritePart[]): Promise<void> {
  await table.client.send(new TransactWriteCommand({ TransactItems: [...parts] }));
}

const versionCondition = (version: number) => ({
  ConditionExpression: 'version = :seen',
  ExpressionAttributeValues: { ':seen': version },
});

/** A device as it is before it enrols. One that was revoked goes on with its counters, so that no ETag repeats. */
function newDevice(device: NewDevice, now: Date, revoked?: Device): Device {
  return {
    id: deviceIdOf(device.serial),
    serial: normalizeSerial(device.serial),
    platform: device.platform,
    class: device.class,
    ownership: device.ownership,
    ...(device.siteId === undefined ? {} : { siteId: device.siteId }),
    ...(device.unitId === undefined ? {} : { unitId: device.unitId }),
    ...(device.name === undefined ? {} : { name: device.name }),
    ...(device.location === undefined ? {} : { location: device.location }),
    ...(device.model === undefined ? {} : { model: device.model }),
    ...(device.user === undefined ? {} : { user: device.user }),
    lifecycle: Lifecycle.Expected,
    createdAt: revoked?.createdAt ?? now.toISOString(),
    desiredVersion: revoked?.desiredVersion ?? 0,
    queueSeq: revoked?.queueSeq ?? 0,
    version: (revoked?.version ?? 0) + 1,
  };
}

/**
 * The head item of a device. Id, site and unit are in the keys and only there: with the longest names that are likely,
 * the head stays below 1 KB, which is what one write unit carries.
 */
export function headItem(device: Device): Item {
  const { id, siteId, unitId, ...attributes } = device;
  return {
    pk: devicePartition(id),
    sk: sortKeys.head,
    gsi1pk: sitePartition(siteId),
    gsi1sk: unitSortKey(unitId, id),
    ...attributes,
  };
}

/** The device that a head item holds: only this table's writers make such items, so their form is known. */
export function deviceOf(item: Item): Device {
  const { pk, sk: _sk, gsi1pk, gsi1sk, ...attributes } = item;
  const siteId = String(gsi1pk).slice('SITE#'.length);
  const unitId = String(gsi1sk).slice(0, String(gsi1sk).indexOf('#'));
  return {
    id: String(pk).slice('DEVICE#'.length),
    ...attributes,
    ...(siteId === nowhere ? {} : { siteId }),
    ...(unitId === nowhere ? {} : { unitId }),
  } as unknown as Device;
}

function idOf(indexEntry: Item): DeviceId {
  return String(indexEntry['pk']).slice('DEVICE#'.length);
}
