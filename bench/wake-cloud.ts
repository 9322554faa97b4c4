import { type LocalUrls, type RunningCloud, startLocalCloud } from '../local/start.ts';

/** What the local cloud tells `wake.ts` when it runs. */
export interface WakeCloud {
  readonly urls: LocalUrls;
  readonly region: string;
  readonly credentials: RunningCloud['credentials'];
}

/** A local cloud in a process of its own, so that it shares no thread with the devices that are measured. */
const [, , folder] = process.argv;
if (folder === undefined || process.send === undefined) throw new Error('started by wake.ts only');
const { urls, region, credentials, stop } = await startLocalCloud({ port: 0, folder });
const end = async (): Promise<void> => {
  await stop();
  process.exit(0);
};
process.once('SIGTERM', () => void end());
process.once('disconnect', () => void end());
process.send({ urls, region, credentials } satisfies WakeCloud);
