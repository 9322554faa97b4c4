import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wallTime } from '../../agent/time.ts';
import { isPersonal } from '../../shared/interlock/disruption.ts';
import type { Log } from '../cloud.ts';
import type { FleetProgress } from '../devices/fleet.ts';
import { type RunningFleet, startFleet } from '../devices/start.ts';
import { apiClient } from './api.ts';
import { type DemoDevice, demoFleet } from './fleet.ts';
import { type LoadedNetwork, loadPlaces, loadTokens, preRegister, type TokenShelf } from './load.ts';
import { beginRollout, demoRollouts } from './rollouts.ts';

/** Where the local cloud is, and what demo is wanted. */
export interface DemoOptions {
  /** Base URLs, as in `.wardline/local.json`. */
  readonly api: string;
  readonly enroll: string;
  readonly device: string;
  readonly mqtt: string;
  /** PEM of the authority that all local TLS ends in. */
  readonly ca: string;
  /** Gives an administrator's access token. */
  readonly token: () => Promise<string>;
  /** Gives the one of whoever fits as the second person: for patient-care devices, and for those that people use. */
  readonly approvers: { readonly patientCare: () => Promise<string>; readonly personal: () => Promise<string> };
  /** How many simulated devices. */
  readonly count: number;
  /** Same seed, same devices with the same lives. */
  readonly seed: number;
  /** The cloud's clock, and how many times faster than the wall it runs. */
  readonly clock: { now(): number };
  readonly speed: number;
  /** Folder for what outlives the process: the devices' keys and the enrolment tokens. In memory when left out. */
  readonly data?: string;
  readonly log: Log;
}

/** A demo that has begun. */
export interface Demo {
  /** Resolves when sites, units and pre-registrations exist and the devices have begun to come; rejects when they cannot. */
  readonly loaded: Promise<void>;
  progress(): FleetProgress | undefined;
  stop(): Promise<void>;
}

/** Validity of the demo's enrolment tokens, days. */
const TOKEN_DAYS = 300;

/**
 * Fills the cloud with the demo hospital network through its public doors, in the background: sites and care units,
 * enrolment tokens and pre-registrations over the management API, then devices that enrol and check in.
 */
export function startDemo(options: DemoOptions): Demo {
  const stop = new AbortController();
  let fleet: RunningFleet | undefined;
  let rollouts: Promise<void> | undefined;
  const loaded = load(options, stop.signal).then((started) => {
    fleet = started.fleet;
    rollouts = beginRollouts(options, started, stop.signal).catch((error: unknown) => {
      if (!stop.signal.aborted) options.log.warn(`A demo rollout did not begin: ${error}`);
    });
  });
  return {
    loaded,
    progress: () => fleet?.progress(),
    async stop() {
      stop.abort();
      // What went wrong while loading was told to whoever waits for `loaded`.
      await loaded.catch(() => undefined);
      await rollouts;
      await fleet?.stop();
    },
  };
}

/** What is there once the network is loaded. */
interface LoadedDemo {
  readonly fleet: RunningFleet;
  readonly devices: readonly DemoDevice[];
  readonly network: LoadedNetwork;
}

/** A plan is of devices that are there: rollouts begin when all have enrolled. */
async function beginRollouts(
  { api, token, approvers, clock, seed, log }: DemoOptions,
  { fleet, devices, network }: LoadedDemo,
  signal: AbortSignal,
): Promise<void> {
  const wall = wallTime();
  const wait = (milliseconds: number) => wall.wait(milliseconds, signal);
  for (let { total, enrolled, refused } = fleet.progress(); enrolled + refused < total; ) {
    await wait(500);
    signal.throwIfAborted();
    ({ total, enrolled, refused } = fleet.progress());
  }
  const maker = apiClient(api, token, signal);
  const patientCare = apiClient(api, approvers.patientCare, signal);
  const personal = apiClient(api, approvers.personal, signal);
  for (const order of demoRollouts({ devices, network, seed, now: clock.now() })) {
    const approver = order.selection.classes.every(isPersonal) ? personal : patientCare;
    const id = await beginRollout({ maker, approver }, order, wait);
    log.info(`Demo rollout "${order.name}": ${id}`);
  }
}

async function load(options: DemoOptions, signal: AbortSignal): Promise<LoadedDemo> {
  const { log, count, seed } = options;
  const api = apiClient(options.api, options.token, signal);
  const devices = demoFleet(count, seed);
  const network = await loadPlaces(api);
  log.info(`Demo network: ${network.siteIds.size} sites with ${network.unitIds.size} care units`);
  const siteOf = (index: number): string => {
    const device = devices[index];
    return (device === undefined ? undefined : network.siteIds.get(device.site)) ?? '';
  };
  const wall = wallTime();
  const expiresAt = new Date(options.clock.now() + TOKEN_DAYS * 86_400_000).toISOString();
  const shelf = tokenShelf(options.data === undefined ? undefined : join(options.data, 'demo-tokens.json'));
  const tokens = await loadTokens(
    api,
    devices.map((_, index) => siteOf(index)),
    shelf,
    expiresAt,
  );
  if (devices.length > 0) {
    const refused = await preRegister(api, network, devices, (milliseconds) => wall.wait(milliseconds, signal));
    for (const row of refused.slice(0, 5)) log.warn(`A demo device could not be registered: ${row}`);
  }
  signal.throwIfAborted();
  const fleet = startFleet(
    {
      members: devices.map(({ profile }, index) => ({ profile, token: tokens.get(siteOf(index)) ?? '' })),
      seed,
      enroll: options.enroll,
      device: options.device,
      mqtt: options.mqtt,
      ca: options.ca,
      now: options.clock.now(),
      speed: options.speed,
      ...(options.data === undefined ? {} : { folder: join(options.data, 'devices') }),
    },
    { progress: progressLines(log), log: (message) => log.warn(message) },
  );
  return { fleet, devices, network };
}

/** A line at each quarter of the way, and one at the end. */
function progressLines(log: Log): (progress: FleetProgress) => void {
  let told = 0;
  return ({ total, enrolled, refused }) => {
    const quarter = total === 0 ? 4 : Math.floor(((enrolled + refused) / total) * 4);
    if (quarter <= told) return;
    told = quarter;
    const more = refused === 0 ? '' : `, ${refused} refused`;
    log.info(`Simulated devices: ${enrolled} of ${total} enrolled${more}`);
  };
}

/** Tokens by site, in a file that only its owner can read, or in memory. */
function tokenShelf(file: string | undefined): TokenShelf {
  const kept = new Map<string, string>();
  if (file !== undefined && existsSync(file)) {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    for (const [siteId, token] of Object.entries(value ?? {})) if (typeof token === 'string') kept.set(siteId, token);
  }
  return {
    get: (siteId) => kept.get(siteId),
    put(siteId, token) {
      kept.set(siteId, token);
      if (file === undefined) return;
      mkdirSync(join(file, '..'), { recursive: true });
      writeFileSync(`${file}.new`, JSON.stringify(Object.fromEntries(kept)), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
}
