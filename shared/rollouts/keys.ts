import { type Execution, type ExecutionStatus, isFinal } from './executions/execution.ts';

/**
 * Keys of rollouts in both tables (docs/tables.md). What lies in a device's partition sorts before `HEAD`, so that a
 * check-in does not read it.
 */

/** Name of the index of the Devices table that lists the executions of a rollout at a site. */
export const byRollout = 'byRollout';

/** Partition key of everything about one rollout in the Directory table, its audit trail included. */
export const rolloutPartition = (rolloutId: string): string => `ROLLOUT#${rolloutId}`;

/** Partition key of one part of the fence around a rollout in the Directory table: apart, since each device let in looks at it. */
export const fencePartition = (rolloutId: string, part: number): string =>
  `ROLLOUT#${rolloutId}#FENCE#${twoDigits(part)}`;

/** Sort keys in the partition of a rollout. */
export const rolloutSortKeys = {
  rollout: 'ROLLOUT',
  site: (siteId: string) => `${sitePrefix}${siteId === '' ? noPlace : siteId}`,
  tally: (direction: Execution['direction'], wave: number, siteId: string) =>
    `${tallyPrefix}${direction}#${twoDigits(wave)}#${siteId}`,
  wait: (siteId: string | undefined, step: string) => `${waitPrefix}${siteId ?? noPlace}#${step}`,
  watch: (wave: number) => `${watchPrefix}${twoDigits(wave)}`,
} as const;

/** Prefixes of the sort keys in the partition of a rollout. */
export const sitePrefix = 'SITE#';
export const tallyPrefix = 'TALLY#';
export const waitPrefix = 'WAIT#';
export const watchPrefix = 'WATCH#';

const noPlace = '-';
const twoDigits = (number: number): string => String(number).padStart(2, '0');

/** Sort key of a device's current execution of a kind of artifact: there is one such item, so one execution (I1). */
export const executionSortKey = (kind: string): string => `${executionPrefix}${kind}`;

/** Sort key of an execution that made room for the next one, or that never began. */
export const executedSortKey = (rolloutId: string, direction: Execution['direction']): string =>
  `${executedPrefix}${rolloutId}#${direction}`;

/** Sort key of what the tallies know of an execution. */
export const countedSortKey = (rolloutId: string, direction: Execution['direction']): string =>
  `COUNTED#${rolloutId}#${direction}`;

/** Prefixes by which a reader of the stream knows executions. */
export const executionPrefix = 'EXECUTION#';
export const executedPrefix = 'EXECUTED#';

/** Where an execution stands in the index: one group is what somebody looks for. */
export const ExecutionGroup = {
  /** Planned or told to download: not fetched yet. */
  Fetching: 'Q',
  /** Fetched: waits for its turn. */
  Ready: 'R',
  /** Being activated or verified. */
  Active: 'A',
  Ended: 'Z',
} as const;
export type ExecutionGroup = (typeof ExecutionGroup)[keyof typeof ExecutionGroup];

/** The group of a state; one that is put off stays in the group that it goes on from. */
export function groupOf(status: ExecutionStatus): ExecutionGroup {
  if (isFinal({ status })) return ExecutionGroup.Ended;
  const state = status.state === 'deferred' ? status.from : status.state;
  if (state === 'activating' || state === 'verifying') return ExecutionGroup.Active;
  return state === 'staged' || state === 'armed' ? ExecutionGroup.Ready : ExecutionGroup.Fetching;
}

/** Partition key of the index `byRollout`. */
export const siteOfRollout = (rolloutId: string, siteId: string): string => `ROLLOUT#${rolloutId}#${siteId}`;

/** What a list of executions is narrowed to; each part needs the ones before it, as the sort key does. */
export interface ExecutionFilter {
  readonly group?: ExecutionGroup | undefined;
  readonly unitId?: string | undefined;
  readonly class?: string | undefined;
}

/** What the sort keys of these executions begin with. */
export function executionIndexPrefix({ group, unitId, class: deviceClass }: ExecutionFilter): string {
  if (group === undefined) return '';
  if (unitId === undefined) return `${group}#`;
  return deviceClass === undefined ? `${group}#${unitId}#` : `${group}#${unitId}#${deviceClass}#`;
}

/** Keys of an execution in the index `byRollout`: a unit's devices of a class in the order of waves and ranks. */
export function executionIndexKey(
  execution: Pick<Execution, 'rolloutId' | 'siteId' | 'unitId' | 'class' | 'wave' | 'deviceId' | 'status'> & {
    readonly rank: number;
  },
): { readonly gsi2pk: string; readonly gsi2sk: string } {
  const { rolloutId, siteId, unitId, wave, rank, deviceId, status } = execution;
  const prefix = executionIndexPrefix({ group: groupOf(status), unitId, class: execution.class });
  return {
    gsi2pk: siteOfRollout(rolloutId, siteId),
    gsi2sk: `${prefix}${twoDigits(wave)}#${String(rank).padStart(7, '0')}#${deviceId}`,
  };
}
