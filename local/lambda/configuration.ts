import type { Json } from '../cloud.ts';
import type { SharedTime } from '../runtime/shared-time.ts';

/** A function of the template, ready to run. */
export interface FunctionConfiguration {
  readonly name: string;
  readonly arn: string;
  readonly roleArn: string;
  /** Folder of the unpacked bundle. */
  readonly folder: string;
  /** `file.export` */
  readonly handler: string;
  readonly timeoutSeconds: number;
  readonly memoryMegabytes: number;
  readonly reservedConcurrency: number | undefined;
  /** The template's environment variables. */
  readonly environment: Readonly<Record<string, string>>;
  readonly deadLetterTarget: string | undefined;
}

/** What becomes of asynchronous invocations of a function that fail. */
export interface EventInvokeConfiguration {
  readonly maximumRetryAttempts: number;
  readonly maximumEventAgeSeconds: number;
  readonly onFailure: string | undefined;
  readonly onSuccess: string | undefined;
}

/** What Lambda does without an `AWS::Lambda::EventInvokeConfig`. */
export const DEFAULT_EVENT_INVOKE: EventInvokeConfiguration = {
  maximumRetryAttempts: 2,
  maximumEventAgeSeconds: 21_600,
  onFailure: undefined,
  onSuccess: undefined,
};

/** What the worker thread is told when it starts. */
export interface WorkerStart {
  readonly folder: string;
  readonly handler: string;
  /** What `Date` follows. */
  readonly time: SharedTime;
}

/** One invocation, to the worker thread. */
export interface WorkerInvocation {
  readonly requestId: string;
  readonly payload: string;
  /** Wall clock, ms since the epoch. */
  readonly deadline: number;
  readonly functionName: string;
  readonly functionArn: string;
  readonly memoryMegabytes: number;
}

/** From the worker thread. `ready` and `failed` come once, when the handler's module has been loaded. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: LambdaError }
  | { readonly kind: 'result'; readonly requestId: string; readonly payload: string }
  | { readonly kind: 'error'; readonly requestId: string; readonly error: LambdaError };

/** Lambda's error object, as an invoker receives it. */
export type LambdaError = {
  readonly errorType: string;
  readonly errorMessage: string;
  readonly trace?: readonly string[];
} & {
  readonly [key: string]: Json | readonly string[] | undefined;
};
