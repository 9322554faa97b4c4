import type { DeviceId } from './device.ts';

/**
 * Keys of the Devices table (docs/tables.md). In a device's partition nothing sorts between `HEAD` and `OPEN#~` but the
 * head and the open commands: one query of that range is a check-in.
 */

/** Partition key of everything about one device. */
export const devicePartition = (id: DeviceId): string => `DEVICE#${id}`;

/** Partition key of the item that says which device a certificate belongs to. */
export const certificatePartition = (fingerprint: string): string => `CERTIFICATE#${fingerprint}`;

/** Sort keys. */
export const sortKeys = {
  head: 'HEAD',
  certificate: 'CERTIFICATE',
  desired: 'DESIRED',
  inventory: 'REPORT#inventory',
  posture: 'REPORT#posture',
  open: (commandId: string) => `OPEN#${commandId}`,
  /** Without the priority: closed commands lie in order of time. */
  closed: (commandId: string) => `CLOSED#${commandId.slice(2)}`,
  idempotency: (hash: string) => `REQUEST#${hash}`,
} as const;

/** Sorts after every open command. */
export const endOfOpen = 'OPEN#~';

/** Prefixes of the sort keys of commands. */
export const openPrefix = 'OPEN#';
export const closedPrefix = 'CLOSED#';

/** Name of the index that lists devices by site. */
export const bySite = 'bySite';

/** Stands for "no site" and "no unit" in the keys of the index, so that unplaced devices are listed too. */
export const nowhere = '-';

/** Partition key of the index `bySite`. */
export const sitePartition = (siteId: string | undefined): string => `SITE#${siteId ?? nowhere}`;

/** Sort key of the index `bySite`: a unit's devices are together. */
export const unitSortKey = (unitId: string | undefined, id: DeviceId): string => `${unitId ?? nowhere}#${id}`;
