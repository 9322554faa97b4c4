import {
  ConditionalCheckFailedException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';

/** An item as the document client reads it. */
export type Item = Readonly<Record<string, unknown>>;

/** Whether a single write was refused by its condition. */
export function isConditionFailed(error: unknown): error is ConditionalCheckFailedException {
  return error instanceof ConditionalCheckFailedException;
}

/**
 * The item that made a single write's condition false. Undefined when there is no such item; ask for it with
 * `ReturnValuesOnConditionCheckFailure: ALL_OLD`, which costs nothing.
 */
export function itemOfFailedCondition(error: ConditionalCheckFailedException): Item | undefined {
  return error.Item === undefined ? undefined : unmarshall(error.Item);
}

/** Why each part of a cancelled transaction failed, in the order of its parts. */
export interface Cancellation {
  /** DynamoDB's word: `None`, `ConditionalCheckFailed`, `TransactionConflict`, `ThrottlingError` … */
  readonly code: string;
  /** The item as it was, for a failed condition that asked for it. */
  readonly item?: Item;
}

/** The reasons of a cancelled transaction; undefined when `error` is anything else. */
export function cancellationsOf(error: unknown): readonly Cancellation[] | undefined {
  if (!(error instanceof TransactionCanceledException)) return undefined;
  return (error.CancellationReasons ?? []).map((reason) => ({
    code: reason.Code ?? 'None',
    ...(reason.Item === undefined ? {} : { item: unmarshall(reason.Item) }),
  }));
}

/**
 * Whether a write lost only because another one touched the same item at that moment, so that the same write may
 * succeed a moment later. Not for a failed condition: that is an answer.
 */
export function isContention(error: unknown): boolean {
  if (error instanceof TransactionConflictException) return true;
  const reasons = cancellationsOf(error);
  if (reasons === undefined) return false;
  const codes = reasons.map((reason) => reason.code).filter((code) => code !== 'None');
  return codes.length > 0 && codes.every((code) => transientCodes.has(code));
}

const transientCodes = new Set(['TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded']);
