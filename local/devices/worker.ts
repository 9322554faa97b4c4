import { parentPort, workerData } from 'node:worker_threads';
import { type FleetOptions, type FleetProgress, runFleet } from './fleet.ts';

/** What the thread of the devices tells its parent. */
export type FleetMessage =
  | { readonly kind: 'progress'; readonly progress: FleetProgress }
  | { readonly kind: 'log'; readonly message: string }
  | { readonly kind: 'ended' };

const parent = parentPort;
if (parent === null) throw new Error('this file runs in a worker thread, started by start.ts');
const tell = (message: FleetMessage): void => parent.postMessage(message);

const stop = new AbortController();
parent.once('message', () => stop.abort());
await runFleet(workerData as FleetOptions, stop.signal, {
  progress: (progress) => tell({ kind: 'progress', progress }),
  log: (message) => tell({ kind: 'log', message }),
});
tell({ kind: 'ended' });
parent.close();
