import type { Json } from '../../cloud.ts';

/** Where an execution stands, as DescribeExecution says it. */
export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

/** An execution in the store. Times are ms since the epoch; `input` and `output` are JSON text. */
export interface ExecutionRecord {
  readonly arn: string;
  readonly machineArn: string;
  readonly name: string;
  readonly input: string;
  readonly startedAt: number;
  readonly status: ExecutionStatus;
  readonly stoppedAt?: number;
  readonly output?: string;
  readonly error?: string;
  readonly cause?: string;
}

/** How a task ended: a value, or an error by name. */
export type Outcome = { readonly value: Json } | { readonly error: string; readonly cause: string };

/** What is remembered of a task of a running execution, so that a restart goes on with it instead of doing it again. */
export interface TaskRecord {
  readonly startedAt: number;
  /** Attempts that have failed, by retrier. */
  readonly attempts: readonly number[];
  /** When the next attempt begins, or a wait ends. */
  readonly until?: number;
  readonly token?: string;
  /** The call that hands the token over has been made. */
  readonly called?: true;
  readonly outcome?: Outcome;
}

/** A task token in the store. */
export interface TokenRecord {
  readonly executionArn: string;
  readonly task: string;
  readonly heartbeatAt: number;
  readonly outcome?: Outcome;
}
