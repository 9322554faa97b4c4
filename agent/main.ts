import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isRecord } from './channel/messages.ts';
import type { HttpsIdentity } from './channel/request.ts';
import { connect, type Endpoints } from './connect.ts';
import { Credentials } from './enrollment/credentials.ts';
import { linuxMachine } from './linux-machine.ts';
import { Loop } from './loop.ts';
import type { Outcome } from './machine.ts';
import { type AgentOptions, parseOptions, USAGE, UsageError } from './options.ts';
import { serialNumber } from './report/hardware.ts';
import { linuxInventory } from './report/inventory.ts';
import { linuxPosture, pendingUpdates } from './report/posture.ts';
import { thisSystem } from './report/system.ts';
import { type AgentSettings, AgentState, endpointsOf } from './state.ts';
import { wallTime } from './time.ts';

const say = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);

/** The agent's program. Ends with 0 when it was asked to stop, 1 when it cannot go on, 2 for a mistake on the command line. */
async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env, process.getuid?.() === 0);
  if (options.help) {
    console.log(USAGE);
    return;
  }
  if (process.platform !== 'linux') throw new UsageError('this agent reports Linux machines only');
  if (options.report) {
    const updates = await pendingUpdates(thisSystem, Date.now());
    const report = {
      inventory: linuxInventory(thisSystem, ownSerial(options)),
      posture: await linuxPosture(thisSystem, updates),
    };
    console.log(JSON.stringify(report, undefined, 2));
    return;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  await serve(options, stop.signal);
}

async function serve(options: AgentOptions, signal: AbortSignal): Promise<void> {
  const state = new AgentState(options.state);
  const { settings, credentials } = await enrolled(state, options, signal);
  const time = wallTime();
  let identity: HttpsIdentity | undefined;

  const renew = async (): Promise<void> => {
    if (settings.endpoints.device === undefined) throw new Error('no device host is known, so nothing to renew at');
    await credentials.renew(settings.endpoints.device, signal);
    say('The certificate was renewed');
  };
  const loop: Loop = new Loop({
    machine: linuxMachine({
      system: thisSystem,
      serial: settings.serial,
      logs: state.logs,
      now: time.now,
      reportAll: () => loop.reportAll(),
      changed: () => loop.nudge(),
      // Whoever asks for a single check-in wants it complete.
      patienceMs: options.once ? 60_000 : 3_000,
      rotateCertificate: async (): Promise<Outcome> => {
        if (settings.endpoints.device === undefined) return { status: 'failed', reason: 'no-device-host' };
        await renew();
        await loop.disconnect();
        return { status: 'acknowledged' };
      },
    }),
    journal: state.journal(),
    connect: async (onWake, aborted) => {
      const connection = await connect({
        credentials,
        endpoints: settings.endpoints,
        onWake,
        signal: aborted,
        ...(options.prefer === undefined ? {} : { prefer: options.prefer }),
        ...(settings.ca === undefined ? {} : { ca: settings.ca }),
      });
      identity = connection.identity;
      say(`Connected over ${connection.channel.kind}`);
      return connection.channel;
    },
    accepted: () => {
      if (identity !== undefined) credentials.accepted(identity);
    },
    renew: async () => {
      if (time.now() < credentials.renewalTime || settings.endpoints.device === undefined) return false;
      try {
        await renew();
        return true;
      } catch (error) {
        // The present certificate is good for a third of its life yet; the next check-in tries again.
        say(`The certificate could not be renewed: ${messageOf(error)}`);
        return false;
      }
    },
    time,
    log: say,
    random: Math.random,
  });
  if (options.once) await loop.once(signal);
  else await loop.run(signal);
}

/** The identity of an earlier run, or a new one when the command line says where to enrol. */
async function enrolled(
  state: AgentState,
  options: AgentOptions,
  signal: AbortSignal,
): Promise<{ settings: AgentSettings; credentials: Credentials }> {
  const stored = state.settings;
  if (stored !== undefined) {
    const settings = { ...stored, endpoints: { ...stored.endpoints, ...endpointsFrom(options) } };
    const credentials = Credentials.load(enrolmentOf(state, settings));
    if (credentials !== undefined) {
      if (options.enroll !== undefined) say(`This machine is enrolled already, as ${credentials.deviceId}`);
      state.settings = settings;
      return { settings, credentials };
    }
  }
  if (options.enroll === undefined || options.token === undefined) {
    throw new UsageError('this machine is not enrolled: give --enroll URL and --token TOKEN');
  }
  const serial = ownSerial(options);
  const ca = authorityFrom(options);
  const settings: AgentSettings = {
    serial,
    endpoints: endpointsFrom(options),
    ...(ca === undefined ? {} : { ca }),
  };
  if (settings.endpoints.device === undefined && settings.endpoints.mqtt === undefined) {
    throw new UsageError('where to check in is not known: give --mqtt URL, --device URL or --endpoints FILE');
  }
  say(`Enrolling with serial number ${serial.serial} (from ${serial.source})`);
  // First, so that whoever stops between the two finds the identity of use: without settings it would enrol again.
  state.settings = settings;
  const credentials = await Credentials.enrol({
    ...enrolmentOf(state, settings),
    url: options.enroll,
    token: options.token,
    signal,
  });
  say(`Enrolled as ${credentials.deviceId}`);
  return { settings, credentials };
}

const enrolmentOf = (state: AgentState, settings: AgentSettings) => ({
  store: state.identities,
  serial: settings.serial.serial,
  ...(settings.ca === undefined ? {} : { ca: settings.ca }),
});

function ownSerial(options: AgentOptions): AgentSettings['serial'] {
  const serial = serialNumber(
    {
      option: options.serial,
      firmware: [
        thisSystem.text('/sys/class/dmi/id/product_serial'),
        thisSystem.text('/sys/class/dmi/id/board_serial'),
        thisSystem.text('/proc/device-tree/serial-number'),
      ],
      machineId: thisSystem.text('/etc/machine-id'),
    },
    (text) => createHash('sha256').update(text).digest('hex'),
  );
  if (serial === undefined) throw new UsageError('this machine has no usable serial number: give one with --serial');
  return serial;
}

function endpointsFrom(options: AgentOptions): Endpoints {
  return {
    ...endpointsOf(options.endpoints === undefined ? localCloud(options.enroll) : readObject(options.endpoints)),
    ...(options.device === undefined ? {} : { device: options.device }),
    ...(options.mqtt === undefined ? {} : { mqtt: options.mqtt }),
  };
}

/** PEM of the authority to trust: what the option names, else that of the local cloud; undefined for the public ones. */
function authorityFrom(options: AgentOptions): string | undefined {
  const file = options.ca ?? localCloud(options.enroll)['ca'];
  return typeof file === 'string' ? readFileSync(file, 'utf8') : undefined;
}

/** Where a local cloud listens. */
const ownAddresses: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * What the local cloud wrote to `.wardline/local.json` below the working folder or one above it; nothing when that is
 * another cloud than the one to enrol with, because its endpoints would not know the device. Looked for only when that is
 * on this machine: a file in a folder that anybody can write to must not name the authority of a hospital's hosts.
 */
function localCloud(enroll: string | undefined): Readonly<Record<string, unknown>> {
  if (enroll === undefined || !ownAddresses.has(new URL(enroll).hostname)) return {};
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    const file = resolve(folder, '.wardline', 'local.json');
    if (existsSync(file)) {
      const value = readObject(file);
      const own = typeof value['enroll'] === 'string' && URL.canParse(value['enroll']);
      return own && new URL(String(value['enroll'])).origin === new URL(enroll).origin ? value : {};
    }
    if (folder === dirname(folder)) return {};
  }
}

function readObject(file: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!isRecord(value)) throw new UsageError(`${file} is not a JSON object`);
  return value;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

try {
  await main();
} catch (error) {
  console.error(`wardline-agent: ${messageOf(error)}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
