/**
 * What runs in the worker thread of a function: the part of Lambda's Node.js runtime that handlers can see. The process
 * environment is the function's own; nothing of the local cloud is within reach except by the network.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { readTime, type SharedTime } from '../runtime/shared-time.ts';
import type { LambdaError, WorkerInvocation, WorkerMessage, WorkerStart } from './configuration.ts';

type Handler = (event: unknown, context: unknown) => unknown;

const port = parentPort;
if (port === null) throw new Error('worker.ts runs in a worker thread only');
const start = workerData as WorkerStart;
followClock(start.time);

const send = (message: WorkerMessage) => port.postMessage(message);
const loaded = await load().then(
  (handler) => ({ handler }),
  (error: unknown) => ({ error }),
);

if ('error' in loaded) {
  send({ kind: 'failed', error: describe(loaded.error) });
} else {
  const { handler } = loaded;
  port.on('message', async (invocation: WorkerInvocation) => {
    const { requestId } = invocation;
    try {
      const result = await handler(JSON.parse(invocation.payload), contextOf(invocation));
      send({ kind: 'result', requestId, payload: JSON.stringify(result) ?? 'null' });
    } catch (error) {
      send({ kind: 'error', requestId, error: describe(error) });
    }
  });
  send({ kind: 'ready' });
}

async function load(): Promise<Handler> {
  const dot = start.handler.lastIndexOf('.');
  const [file, name] = [start.handler.slice(0, dot), start.handler.slice(dot + 1)];
  const path = ['.mjs', '.js', '.cjs'].map((extension) => join(start.folder, `${file}${extension}`)).find(existsSync);
  if (path === undefined) throw namedError('Runtime.ImportModuleError', `Error: Cannot find module '${file}'`);
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const handler = module[name];
  if (typeof handler !== 'function') {
    throw namedError('Runtime.HandlerNotFound', `${start.handler} is undefined or not exported`);
  }
  return handler as Handler;
}

function contextOf(invocation: WorkerInvocation) {
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: invocation.functionName,
    functionVersion: '$LATEST',
    invokedFunctionArn: invocation.functionArn,
    memoryLimitInMB: String(invocation.memoryMegabytes),
    awsRequestId: invocation.requestId,
    logGroupName: process.env['AWS_LAMBDA_LOG_GROUP_NAME'],
    logStreamName: process.env['AWS_LAMBDA_LOG_STREAM_NAME'],
    getRemainingTimeInMillis: () => Math.max(0, invocation.deadline - wallNow()),
  };
}

function describe(error: unknown): LambdaError {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error) };
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') };
}

function namedError(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}

/** The wall clock, whatever `Date` has been made to say. */
function wallNow(): number {
  return performance.timeOrigin + performance.now();
}

/** Makes `Date` tell the cloud's time, so that a function sees the hours pass that schedules go by. */
function followClock(time: SharedTime): void {
  const WallDate = Date;
  const now = () => Math.round(readTime(time, WallDate.now()));
  globalThis.Date = new Proxy(WallDate, {
    construct: (target, values: [], newTarget) =>
      Reflect.construct(target, values.length === 0 ? [now()] : values, newTarget),
    apply: (target) => new target(now()).toString(),
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
  });
}
