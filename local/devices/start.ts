import { Worker } from 'node:worker_threads';
import type { FleetOptions, FleetProgress } from './fleet.ts';
import type { FleetMessage } from './worker.ts';

/** A fleet that runs in a thread of its own. */
export interface RunningFleet {
  /** How far it is, as last reported. */
  progress(): FleetProgress;
  stop(): Promise<void>;
}

/** How long the devices may take to say good-bye before their thread is ended, milliseconds. */
const GOOD_BYE_MS = 3_000;

/**
 * Starts the fleet in one worker thread: the sockets and signatures of a thousand devices keep off the thread that
 * serves the cloud, and a thread cannot outlive its process.
 */
export function startFleet(
  options: FleetOptions,
  report: { progress?: (progress: FleetProgress) => void; log: (message: string) => void },
): RunningFleet {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: options,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  let latest: FleetProgress = { total: options.members.length, enrolled: 0, refused: 0, connected: 0 };
  const ended = Promise.withResolvers<void>();
  worker.on('message', (message: FleetMessage) => {
    if (message.kind === 'progress') {
      latest = message.progress;
      report.progress?.(latest);
    } else if (message.kind === 'log') report.log(message.message);
  });
  worker.on('error', (error) => report.log(`The simulated devices stopped: ${error.message}`));
  worker.on('exit', () => ended.resolve());
  return {
    progress: () => latest,
    async stop() {
      worker.postMessage('stop');
      const timer = setTimeout(() => void worker.terminate(), GOOD_BYE_MS);
      await ended.promise;
      clearTimeout(timer);
    },
  };
}
