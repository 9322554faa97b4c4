import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { IoTDataPlaneClient, SendDirectMessageCommand } from '@aws-sdk/client-iot-data-plane';
import { localToken } from '../local/demo/token.ts';
import { LoopDevice } from '../test/support/loop-device.ts';
import type { WakeCloud } from './wake-cloud.ts';

/**
 * `npm run bench:wake`: how long it takes from the API's 201 for a command until the device has its wake-up, with 200
 * devices connected over MQTT, in a local cloud in a process of its own. By turns with it a message is sent to a device
 * by the broker alone, without API, table, stream and function. Ends with code 1 when the 99th percentile is over a second.
 */
const devices = Number(process.env['DEVICES'] ?? 200);
const commands = Number(process.env['COMMANDS'] ?? 200);
const perSecond = Number(process.env['RATE'] ?? 4);
const budgetMilliseconds = 1_000;

/** Wall clock, milliseconds, finer than `Date.now`; the clock of `LoopDevice.wake`. */
const clock = (): number => performance.timeOrigin + performance.now();

const folder = mkdtempSync(join(tmpdir(), 'wardline-bench-'));
const child = fork(join(import.meta.dirname, 'wake-cloud.ts'), [folder]);
const connected: LoopDevice[] = [];
try {
  const cloud = await new Promise<WakeCloud>((done, fail) => {
    child.once('message', (message) => done(message as WakeCloud));
    child.once('exit', () => fail(new Error('The local cloud ended before it was ready.')));
  });
  const call = await administrator(cloud);
  const { id: siteId } = await call('/v1/sites', { name: 'Bench', timeZone: 'Etc/UTC' });
  const enrolment = { siteId, class: 'tablet', platform: 'linux', uses: devices };
  const { token } = await call('/v1/enrollment-tokens', enrolment);
  for (let n = 0; n < devices; n += 1) {
    const device = await LoopDevice.enrol(cloud.urls, String(token), `BENCH-${n}`);
    await device.connect();
    await device.publish({});
    connected.push(device);
  }
  const broker = new IoTDataPlaneClient({
    endpoint: cloud.urls.awsEndpoint,
    region: cloud.region,
    credentials: cloud.credentials,
  });

  // From the request for a command, from its 201, and from the broker's own send, each to the arrival.
  const [asked, pushed, bare]: [number[], number[], number[]] = [[], [], []];
  const device = (n: number): LoopDevice => {
    const one = connected[n % connected.length];
    if (one === undefined) throw new Error('No device is connected.');
    return one;
  };
  const one = async (n: number): Promise<void> => {
    const target = device(n);
    const wake = target.wake();
    const requested = clock();
    await call(`/v1/devices/${target.id}/commands`, { type: 'message', parameters: { text: `${n}` } });
    const answered = clock();
    // A wake-up can overtake the answer to whoever asked for it.
    const { at } = await wake;
    pushed.push(Math.max(0, at - answered));
    asked.push(at - requested);
    const next = target.wake();
    const sent = clock();
    const topic = `wardline/${target.id}/wake`;
    const payload = Buffer.from('{"v":1,"n":0}');
    await broker.send(new SendDirectMessageCommand({ clientId: target.id, topic, payload }));
    bare.push((await next).at - sent);
  };
  // The functions' first invocations load code; what is measured is a cloud that runs.
  for (let n = 0; n < 20; n += 1) await one(n);
  for (const values of [asked, pushed, bare]) values.length = 0;
  const began = clock();
  const running: Promise<void>[] = [];
  const failures: unknown[] = [];
  for (let n = 0; n < commands; n += 1) {
    await new Promise((done) => setTimeout(done, Math.max(0, began + (n * 1_000) / perSecond - clock())));
    // The next device each time, so that no two are under way to the same one.
    running.push(one(20 + n).catch((error: unknown) => void failures.push(error)));
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];

  const [p99, bareP99] = [percentile(pushed, 0.99), percentile(bare, 0.99)];
  const row = (name: string, of: (values: readonly number[]) => number): string =>
    [
      name.padEnd(8),
      ...[asked, pushed, bare].map((values) => of(values).toFixed(1).padStart(15)),
      (of(pushed) / of(bare)).toFixed(2).padStart(10),
    ].join('');
  console.log(`${devices} devices, ${commands} commands, ${perSecond} a second, ${cpus().length} cores`);
  console.log('ms      request to wake    201 to wake   broker alone     ratio');
  console.log(row('p50', (values) => percentile(values, 0.5)));
  console.log(row('p99', (values) => percentile(values, 0.99)));
  console.log(row('longest', (values) => Math.max(...values)));
  if (!(p99 <= budgetMilliseconds)) {
    console.error(`The 99th percentile is over ${budgetMilliseconds} ms (broker alone: ${bareP99.toFixed(0)} ms).`);
    process.exitCode = 1;
  }
  broker.destroy();
} finally {
  for (const device of connected) await device[Symbol.asyncDispose]();
  if (child.exitCode === null) {
    const gone = new Promise((done) => child.once('exit', done));
    child.kill();
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Calls of the management API by an administrator; each is a POST that answers 201. */
async function administrator({ urls }: WakeCloud) {
  const token = await localToken(urls.issuer, 'ada.admin')();
  return async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${urls.api}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (response.status !== 201) throw new Error(`${path}: ${response.status} ${JSON.stringify(answer)}`);
    return answer;
  };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
