import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { type AuditItem, auditRecord } from '../audit/record.ts';
import { keepRecord } from '../audit/store.ts';
import type { Table } from '../aws/dynamodb.ts';
import { cancellationsOf, type Item, isContention } from '../aws/errors.ts';
import { retryContention } from '../aws/retry.ts';
import { timestamp } from '../clock.ts';
import { certificatePartition, devicePartition, sortKeys } from '../devices/keys.ts';
import {
  auditPart,
  enrolExpected,
  enrolUnregistered,
  getDevice,
  renewCertificate,
  transact,
  type WritePart,
} from '../devices/store.ts';
import type { CertificateRecord } from './decide.ts';
import type { EnrollmentChange, EnrollmentStore, RefusedEnrollment } from './enroll.ts';
import type { RenewalChange, RenewalStore } from './renew.ts';
import type { EnrollmentToken } from './token.ts';

/** The tables that enrolment reads and writes. */
export interface EnrollmentTables {
  readonly devices: Table;
  /** Holds the tokens. */
  readonly directory: Table;
}

/** Sort key of a token. */
const tokenSortKey = 'TOKEN';
/** Partition of the index `byKind` that lists the tokens, by id, which is by age. */
const tokenKind = 'TOKEN';
/** Tokens stay readable for so long after their end, for who looks into a refusal; then DynamoDB removes them. */
const tokenKept = 90 * 24 * 60 * 60 * 1000;
/** Tries of a transaction that collides with others on the same token, with growing random pauses. */
const collisions = 12;

/** Partition key of a token. */
export const tokenPartition = (hash: string): string => `TOKEN#${hash}`;

/** Partition of the Directory table that keeps refusals which concern neither a known device nor a known token. */
const strangersPartition = (at: number): string => `ENROLLMENT#${timestamp(at).slice(0, 10)}`;

/** Storage of enrolment and renewal in DynamoDB. */
export function enrollmentStore(tables: EnrollmentTables): EnrollmentStore & RenewalStore {
  const { devices, directory } = tables;
  return {
    token: (hash) => getToken(directory, hash),
    ...issuedRecords(devices),
    enroll: (change) => attempt(devices, enrollmentParts(tables, change)),
    renew: (change) => attempt(devices, renewalParts(devices, change)),
    async recordRefusal(refusal) {
      const { table, audit } = refusalRecord(tables, refusal);
      await keepRecord(table, audit);
    },
  };
}

/** The reads that the certificate provider needs; the Devices table alone, and nothing is written. */
export function issuedRecords(devices: Table): Pick<EnrollmentStore, 'device' | 'certificate'> {
  return {
    device: (id) => getDevice(devices, id, { consistent: true }),
    certificate: (fingerprint) => getCertificate(devices, fingerprint),
  };
}

/** True when written, false when a condition says that the world has changed; contention alone is tried again. */
async function attempt(table: Table, parts: readonly WritePart[]): Promise<boolean> {
  try {
    await retryContention(() => transact(table, parts), collisions);
    return true;
  } catch (error) {
    // Still contended, or a condition failed: either way the caller reads anew and decides again.
    const failed = cancellationsOf(error)?.some(({ code }) => code === 'ConditionalCheckFailed') === true;
    if (failed || isContention(error)) return false;
    throw error;
  }
}

function enrollmentParts(tables: EnrollmentTables, change: EnrollmentChange): WritePart[] {
  const { before, device, certificate, token } = change;
  const now = new Date(change.at);
  const issued = issuedCertificate(certificate);
  const { siteId, unitId } = device;
  const placement = { ...(siteId === undefined ? {} : { siteId }), ...(unitId === undefined ? {} : { unitId }) };
  return [
    ...(before === undefined
      ? enrolUnregistered(tables.devices, device, issued, now)
      : enrolExpected(tables.devices, before, issued, now, placement)),
    ...(token === undefined ? [] : [useToken(tables.directory, token.hash, change.at)]),
    auditPart(
      tables.devices,
      auditRecord(
        devicePartition(device.id),
        {
          actor: `device:${device.id}`,
          action: 'EnrollDevice',
          resource: `device/${device.id}`,
          ...(siteId === undefined ? {} : { siteId }),
          outcome: 'allowed',
          after: {
            method: change.method,
            serial: device.serial,
            certificate: certificate.fingerprint,
            ...(token === undefined ? {} : { tokenId: token.id }),
          },
        },
        now,
      ),
    ),
  ];
}

/** Counts one use, on the condition that the token still allows it: of many parallel uses only as many succeed as it has. */
function useToken(directory: Table, hash: string, at: number): WritePart {
  return {
    Update: {
      TableName: directory.name,
      Key: { pk: tokenPartition(hash), sk: tokenSortKey },
      UpdateExpression: 'SET used = used + :one, lastUsedAt = :now',
      ConditionExpression: 'used < #uses AND expiresAt > :now AND attribute_not_exists(revokedAt)',
      ExpressionAttributeNames: { '#uses': 'uses' },
      ExpressionAttributeValues: { ':one': 1, ':now': timestamp(at) },
    },
  };
}

function renewalParts(devices: Table, change: RenewalChange): WritePart[] {
  const { device, certificate } = change;
  const now = new Date(change.at);
  return [
    ...renewCertificate(devices, device, issuedCertificate(certificate), now),
    auditPart(
      devices,
      auditRecord(
        devicePartition(device.id),
        {
          actor: `device:${device.id}`,
          action: 'RenewCertificate',
          resource: `device/${device.id}`,
          ...(device.siteId === undefined ? {} : { siteId: device.siteId }),
          outcome: 'allowed',
          before: { certificate: device.certificate },
          after: { nextCertificate: certificate.fingerprint },
        },
        now,
      ),
    ),
  ];
}

function issuedCertificate(certificate: CertificateRecord) {
  const { fingerprint, expiresAt, publicKeyHash, tokenId, pem } = certificate;
  return {
    fingerprint,
    expiresAt: new Date(expiresAt),
    record: { publicKeyHash, pem, ...(tokenId === undefined ? {} : { tokenId }) },
  };
}

/** In whose history a refusal belongs: the device's if we know it, else the token's, else that of the day's strangers. */
function refusalRecord(tables: EnrollmentTables, refusal: RefusedEnrollment): { table: Table; audit: AuditItem } {
  const { device, token, deviceId, at } = refusal;
  const [table, partition] =
    device !== undefined
      ? ([tables.devices, devicePartition(device.id)] as const)
      : ([tables.directory, token !== undefined ? tokenPartition(token.hash) : strangersPartition(at)] as const);
  const siteId = device?.siteId ?? token?.siteId;
  const audit = auditRecord(
    partition,
    {
      actor: deviceId === undefined ? 'device:unknown' : `device:${deviceId}`,
      action: refusal.action,
      resource: device === undefined && token !== undefined ? `token/${token.id}` : `device/${deviceId ?? 'unknown'}`,
      ...(siteId === undefined ? {} : { siteId }),
      outcome: 'refused',
      reason: refusal.reason,
      ...(token === undefined ? {} : { before: { tokenId: token.id } }),
    },
    new Date(at),
  );
  return { table, audit };
}

/** The record of a certificate that we issued; undefined for a foreign one. 1 read unit. */
async function getCertificate(devices: Table, fingerprint: string): Promise<CertificateRecord | undefined> {
  const { Item } = await devices.client.send(
    new GetCommand({
      TableName: devices.name,
      Key: { pk: certificatePartition(fingerprint), sk: sortKeys.certificate },
      ConsistentRead: true,
    }),
  );
  if (Item === undefined) return undefined;
  const { pk: _pk, sk: _sk, ...record } = Item;
  // Only the writers of this file make such items, so their form is known.
  return { ...record, fingerprint } as CertificateRecord;
}

/** The token with this hash (`tokenHash`), whatever its state. 1 read unit. */
export async function getToken(directory: Table, hash: string): Promise<EnrollmentToken | undefined> {
  const { Item } = await directory.client.send(
    new GetCommand({
      TableName: directory.name,
      Key: { pk: tokenPartition(hash), sk: tokenSortKey },
      ConsistentRead: true,
    }),
  );
  return Item === undefined ? undefined : tokenOf(Item);
}

/**
 * Stores a new token under the hash of its secret, with its audit record, in one transaction.
 *
 * @param audit made for the token's partition (`tokenPartition`)
 */
export async function putToken(
  directory: Table,
  hash: string,
  token: EnrollmentToken,
  audit: AuditItem,
): Promise<void> {
  await transact(directory, [
    {
      Put: {
        TableName: directory.name,
        Item: {
          pk: tokenPartition(hash),
          sk: tokenSortKey,
          gsi1pk: tokenKind,
          gsi1sk: token.id,
          ttl: Math.ceil((Date.parse(token.expiresAt) + tokenKept) / 1000),
          ...token,
        },
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
    auditPart(directory, audit),
  ]);
}

/** A token and the hash that it is stored under. */
export interface StoredToken {
  readonly hash: string;
  readonly token: EnrollmentToken;
}

/** The token with this id, out of the index (which may lag by a moment). 0.5 read units. */
export async function findToken(directory: Table, id: string): Promise<StoredToken | undefined> {
  const { Items = [] } = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      IndexName: 'byKind',
      KeyConditionExpression: 'gsi1pk = :kind AND gsi1sk = :id',
      ExpressionAttributeValues: { ':kind': tokenKind, ':id': id },
    }),
  );
  const [item] = Items;
  return item === undefined ? undefined : storedTokenOf(item);
}

/** One page of tokens, newest first. `after` is the id of the last token of the page before. */
export async function listTokens(
  directory: Table,
  limit: number,
  after?: string,
): Promise<{ readonly tokens: readonly StoredToken[]; readonly next?: string }> {
  const { Items = [], LastEvaluatedKey } = await directory.client.send(
    new QueryCommand({
      TableName: directory.name,
      IndexName: 'byKind',
      KeyConditionExpression: after === undefined ? 'gsi1pk = :kind' : 'gsi1pk = :kind AND gsi1sk < :after',
      ExpressionAttributeValues: { ':kind': tokenKind, ...(after === undefined ? {} : { ':after': after }) },
      ScanIndexForward: false,
      Limit: limit,
    }),
  );
  const tokens = Items.map(storedTokenOf);
  const last = tokens.at(-1);
  return { tokens, ...(LastEvaluatedKey === undefined || last === undefined ? {} : { next: last.token.id }) };
}

/**
 * Withdraws a token, with the audit record, in one transaction.
 *
 * @returns false, and nothing written, when it is withdrawn already or gone
 */
export async function revokeToken(directory: Table, hash: string, at: number, audit: AuditItem): Promise<boolean> {
  return attempt(directory, [
    {
      Update: {
        TableName: directory.name,
        Key: { pk: tokenPartition(hash), sk: tokenSortKey },
        UpdateExpression: 'SET revokedAt = :now',
        ConditionExpression: 'attribute_exists(pk) AND attribute_not_exists(revokedAt)',
        ExpressionAttributeValues: { ':now': timestamp(at) },
      },
    },
    auditPart(directory, audit),
  ]);
}

function storedTokenOf(item: Item): StoredToken {
  return { hash: String(item['pk']).slice('TOKEN#'.length), token: tokenOf(item) };
}

/** Only the writers of this file make such items, so their form is known. */
function tokenOf(item: Item): EnrollmentToken {
  const { pk: _pk, sk: _sk, gsi1pk: _kind, gsi1sk: _id, ttl: _ttl, ...token } = item;
  return token as unknown as EnrollmentToken;
}
