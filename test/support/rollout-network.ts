import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Time } from '../../agent/time.ts';
import { batteryAt } from '../../local/devices/battery.ts';
import { isBroken } from '../../local/devices/behaviour.ts';
import type { DeviceProfile } from '../../local/devices/profile.ts';
import { reachabilityAt } from '../../local/devices/reachability.ts';
import { SimulatedDevice } from '../../local/devices/simulated-device.ts';
import type { DeviceMemory, MemoryStore } from '../../local/devices/state.ts';
import { usageAt } from '../../local/devices/usage.ts';
import { type RunningClock, runningClock } from '../../local/runtime/clock.ts';
import { type DeviceId, deviceIdOf } from '../../shared/devices/device.ts';
import { gateFor } from '../../shared/rollouts/gate/gate.ts';
import { openDirectory } from './cloud-tables.ts';
import { type LocalCloud, startLocalCloud } from './local-cloud.ts';

const seed = 1;
const minute = 60_000;
const hour = 60 * minute;

/** Version that the devices have from the factory. */
export const factoryVersion = '1.0';

/** A rollout as the API shows it, as far as tests look at it. */
export interface RolloutShown {
  readonly id: string;
  readonly state: string;
  readonly words: string;
  readonly digest?: string;
  readonly plan?: { readonly state: string; readonly problem?: string };
  readonly paused?: { readonly by: string; readonly words: string };
  readonly stopped?: string;
  readonly waves: readonly {
    readonly name: string;
    readonly devices: number;
    readonly state: string;
    readonly words: string;
    readonly since?: string;
    readonly bakeUntil?: string;
    readonly states: Readonly<Record<string, number>>;
    readonly waiting: Readonly<Record<string, number>>;
    readonly gate?: { readonly words: string; readonly missing: { readonly comeThrough: number } };
  }[];
  readonly counts: { readonly states: Readonly<Record<string, number>> };
  readonly back?: { readonly states: Readonly<Record<string, number>> };
}

/** A device of a rollout as the API shows it. */
export interface ExecutionShown {
  readonly deviceId: DeviceId;
  readonly siteId: string;
  readonly unitId: string;
  readonly wave: number;
  readonly direction: 'forward' | 'back';
  readonly state: string;
  readonly since: string;
  readonly outOfService: boolean;
  readonly words: string;
  readonly reason?: string;
  readonly until?: string;
}

/** A command of a rollout as the API shows it. */
export interface UpdateShown {
  readonly type: string;
  readonly status: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly history: readonly { readonly status: string; readonly at: string; readonly source: string }[];
}

/** A care unit of the network. */
export interface Ward {
  readonly siteId: string;
  readonly unitId: string;
  readonly devices: readonly NetworkDevice[];
  /** How many of its devices it can spare at once. */
  readonly budget: number;
}

/** A stretch of time in which a device was out of service, milliseconds of one clock. */
export interface Absence {
  readonly from: number;
  /** Missing while it lasts. */
  to?: number;
}

/** A simulated device, and what it has done. */
export interface NetworkDevice {
  readonly id: DeviceId;
  readonly serial: string;
  /** The versions that it changed to, in their order: an activation that was carried out twice shows twice. */
  readonly versions: string[];
  /** How often it restarted. */
  readonly boots: () => number;
  /** When it was out of service for an update, by the wall clock (milliseconds): from the begin of each to its result. */
  readonly absences: readonly Absence[];
  /** When it is free after its use on the third day (milliseconds, the cloud's time); undefined = nobody uses it. */
  readonly busyUntil?: number;
}

/** What a test wants of a ward. */
export interface WardWish {
  readonly site: 'North' | 'South';
  readonly devices: number;
  /** @default 'T2' */
  readonly tier?: 'T1' | 'T2';
  /** Least number that must stay in service. */
  readonly keep: number;
  /** How many of them are in use on the third day, in the hours in which the third wave begins. @default 0 */
  readonly busy?: number;
  /** How many of them break on a version that ends in `-bad`. @default chance */
  readonly broken?: { readonly by: string; readonly count: number };
}

/** Devices of a wave that are not where they stay. */
const onTheirWay = ({ states }: RolloutShown['waves'][number]): number =>
  ['queued', 'deferred', 'staged', 'armed', 'activating', 'verifying'].reduce(
    (sum, state) => sum + (states[state] ?? 0),
    0,
  );

/**
 * Two hospitals in a local cloud, with monitors that live on the cloud's time and that nobody uses in these days. Time goes
 * fast, and where nothing but time is missing it is left out.
 */
export class RolloutNetwork implements AsyncDisposable {
  cloud: LocalCloud;
  readonly wards: Ward[] = [];
  readonly #cloudArguments: readonly string[];
  readonly #members: {
    readonly device: NetworkDevice;
    readonly profile: DeviceProfile;
    readonly store: MemoryStore;
  }[] = [];
  readonly #clock: RunningClock;
  #stopDevices = new AbortController();
  #lives: Promise<void>[] = [];
  #serials = 0;
  readonly #tokens = new Map<string, { readonly token: string; readonly at: number }>();
  /** Folders of the clouds that were ended. */
  readonly #scratch: string[] = [];

  private constructor(cloud: LocalCloud, clock: RunningClock, cloudArguments: readonly string[]) {
    this.cloud = cloud;
    this.#clock = clock;
    this.#cloudArguments = cloudArguments;
  }

  /** @param cloudArguments of `npm start`, besides `--empty` and the trace */
  static async start(wishes: readonly WardWish[], cloudArguments: readonly string[] = []): Promise<RolloutNetwork> {
    const all = ['--empty', '--trace', 'trace.jsonl', ...cloudArguments];
    const cloud = await startLocalCloud({ args: all });
    const network = new RolloutNetwork(cloud, runningClock(await nowOf(cloud), 1), all);
    const sites = new Map<string, string>();
    for (const name of ['North', 'South']) {
      const timeZone = name === 'North' ? 'America/New_York' : 'Europe/Berlin';
      sites.set(name, (await network.made('POST', '/v1/sites', { name, timeZone })).id);
    }
    for (const wish of wishes) await network.#addWard(sites.get(wish.site) ?? '', wish);
    await network.#enrol();
    return network;
  }

  /** All devices. */
  get devices(): readonly NetworkDevice[] {
    return this.#members.map(({ device }) => device);
  }

  /** A call of the management API by an administrator who has just signed in. */
  async api(method: string, path: string, body?: unknown, user = 'ada.admin') {
    const token = await this.#tokenOf(user);
    return await this.cloud.api(method, path, { token, ...(body === undefined ? {} : { body }) });
  }

  /** A token of a moment ago, by the cloud's clock, or a new one. */
  async #tokenOf(user: string): Promise<string> {
    const known = this.#tokens.get(user);
    const age = this.#clock.now() - (known?.at ?? 0);
    if (known !== undefined && age < minute) return known.token;
    const token = await this.cloud.token(user, { mfa: true });
    this.#tokens.set(user, { token, at: this.#clock.now() });
    return token;
  }

  /** The same for what must succeed. */
  async made<Body = { id: string }>(method: string, path: string, body?: unknown, user?: string): Promise<Body> {
    const answer = await this.api(method, path, body, user);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as Body;
  }

  /** The clock of cloud and devices goes on at this speed. */
  async speed(speed: number): Promise<void> {
    await this.#control({ speed });
    this.#clock.setSpeed(speed);
    await this.#align();
  }

  /** Leaves out this much time, milliseconds. */
  async skip(milliseconds: number): Promise<void> {
    await this.#control({ skip: milliseconds / 1_000 });
    await this.#align();
  }

  /** Makes a draft, plans it, and has a biomedical engineer approve what an administrator submitted. */
  async approved(definition: Readonly<Record<string, unknown>>): Promise<string> {
    const { id } = await this.made('POST', '/v1/rollouts', definition);
    await this.made('POST', `/v1/rollouts/${id}/plan`);
    const planned = await this.until(id, ({ state, plan }) => state === 'planned' || plan?.state === 'failed');
    if (planned.digest === undefined) throw new Error(`not planned: ${JSON.stringify(planned.plan)}`);
    await this.made('POST', `/v1/rollouts/${id}/submit`);
    await this.made('POST', `/v1/rollouts/${id}/approve`, { digest: planned.digest }, 'bob.biomed');
    return id;
  }

  /** The same, and starts it. */
  async started(definition: Readonly<Record<string, unknown>>): Promise<string> {
    const id = await this.approved(definition);
    await this.made('POST', `/v1/rollouts/${id}/start`);
    return id;
  }

  /** A rollout as it is now. */
  rollout(id: string): Promise<RolloutShown> {
    return this.made<RolloutShown>('GET', `/v1/rollouts/${id}`);
  }

  /**
   * Looks at a rollout until it is so. Where all of its open wave have come to an end, or wait for their use to end, and
   * only the bake is left, that time is left out.
   */
  async until(
    id: string,
    holds: (rollout: RolloutShown) => boolean | Promise<boolean>,
    seconds = 90,
  ): Promise<RolloutShown> {
    const end = Date.now() + seconds * 1_000;
    for (;;) {
      const rollout = await this.rollout(id);
      if (await holds(rollout)) return rollout;
      if (Date.now() > end) throw new Error(`It did not come to pass: ${await this.story(id)}`);
      const baking = rollout.state === 'running' ? rollout.waves.find(({ state }) => state === 'baking') : undefined;
      const rests = baking !== undefined && onTheirWay(baking) === (baking.waiting['in-use'] ?? 0);
      const left = Date.parse(baking?.bakeUntil ?? '') - this.#clock.now();
      if (rests && left > 0) await this.skip(left + minute);
      else await pause(250);
    }
  }

  /** The devices of a rollout that were told something. */
  async executions(id: string): Promise<readonly ExecutionShown[]> {
    return (await this.made<{ items: ExecutionShown[] }>('GET', `/v1/rollouts/${id}/devices?limit=100`)).items;
  }

  /** What happened to a rollout, the oldest first. */
  async timeline(id: string): Promise<readonly { at: string; actor: string; action: string; words: string }[]> {
    type Page = { items: { at: string; actor: string; action: string; words: string }[] };
    return (await this.made<Page>('GET', `/v1/rollouts/${id}/timeline?limit=100`)).items.toReversed();
  }

  /** The commands that a rollout queued for a device, the oldest first. */
  async updates(id: string, device: Pick<NetworkDevice, 'id'>): Promise<readonly UpdateShown[]> {
    const path = `/v1/devices/${device.id}/commands?limit=100`;
    const { items } = await this.made<{ items: UpdateShown[] }>('GET', path);
    return items
      .filter(({ parameters }) => parameters['rolloutId'] === id)
      .sort((a, b) => ((a.history[0]?.at ?? '') < (b.history[0]?.at ?? '') ? -1 : 1));
  }

  /** When a device was handed the activation of a rollout (RFC 3339, the cloud's time), each time. */
  async handOuts(id: string, device: Pick<NetworkDevice, 'id'>): Promise<readonly string[]> {
    const commands = await this.updates(id, device);
    return commands
      .filter(({ type }) => type === 'activate-update')
      .flatMap(({ history }) => history.filter(({ status }) => status === 'delivered').map(({ at }) => at));
  }

  /** What a rollout left behind: open task tokens, and devices that are still counted as away. */
  async leftovers(id: string): Promise<{ readonly waits: number; readonly away: readonly string[] }> {
    const directory = openDirectory(this.cloud.endpoints);
    try {
      const waits = await directory.keys(`ROLLOUT#${id}`, 'WAIT#');
      const places = this.wards.map(({ siteId, unitId }) =>
        directory.item(`SPARES#${siteId}#${unitId}`, 'patient-monitor'),
      );
      const spares = await Promise.all(places);
      return { waits: waits.length, away: spares.flatMap((item) => [...((item?.['away'] as Set<string>) ?? [])]) };
    } finally {
      directory.close();
    }
  }

  /** Everything that a person needs to see why a test failed. */
  async story(id: string): Promise<string> {
    const [rollout, executions, timeline] = await Promise.all([
      this.rollout(id),
      this.executions(id),
      this.timeline(id),
    ]);
    return JSON.stringify({ now: new Date(this.#clock.now()), rollout, executions, timeline }, undefined, 1);
  }

  /** The version in the inventory that the cloud knows. */
  async versionOf(device: Pick<NetworkDevice, 'id'>): Promise<string | undefined> {
    type View = { inventory?: { report: { os?: { version?: string } } } };
    const { inventory } = await this.made<View>('GET', `/v1/devices/${device.id}`);
    return inventory?.report.os?.version;
  }

  /** How many AWS calls the cloud has made since its start. */
  calls(): number {
    return readFileSync(join(this.cloud.scratch, 'trace.jsonl'), 'utf8').split('\n').length - 1;
  }

  /** Ends the cloud at once, without a word, and starts it again with what it has on disk. The devices live on. */
  async crash(): Promise<void> {
    const { data, scratch } = this.cloud;
    await this.cloud.stop('SIGKILL');
    this.#scratch.push(scratch);
    this.cloud = await startLocalCloud({ args: this.#cloudArguments, data });
    await this.#control({ speed: this.#clock.speed });
    await this.#align();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopDevices.abort();
    await Promise.race([Promise.allSettled(this.#lives), pause(3_000, undefined, { ref: false })]);
    this.#clock.stop();
    const { scratch } = this.cloud;
    await this.cloud.stop();
    for (const folder of [...this.#scratch, scratch]) rmSync(folder, { recursive: true, force: true });
  }

  async #addWard(siteId: string, wish: WardWish): Promise<void> {
    const { site, devices: count, tier = 'T2', keep, broken, busy = 0 } = wish;
    const ward = { name: `Ward ${this.wards.length + 1}`, acuityTier: tier, spares: { 'patient-monitor': keep } };
    const { id: unitId } = await this.made('POST', `/v1/sites/${siteId}/units`, ward);
    const devices: NetworkDevice[] = [];
    let breaks = 0;
    while (devices.length < count) {
      this.#serials += 1;
      // Open connections are looked after in between.
      await pause(0);
      const profile = monitor(`MON-${this.#serials}`, site === 'North' ? 'America/New_York' : 'Europe/Berlin');
      const now = this.#clock.now();
      const busyUntil = devices.length < busy ? endOfUse(profile, now) : now;
      if (busyUntil === undefined || !isLeftAlone(profile, busyUntil, now + 108 * hour)) continue;
      if (broken !== undefined) {
        const breaksOnIt = isBroken(seed, profile.serial, broken.by);
        const room = breaksOnIt ? broken.count - breaks : count - broken.count - (devices.length - breaks);
        if (room === 0) continue;
        breaks += Number(breaksOnIt);
      }
      const member = memberOf(profile, devices.length < busy ? busyUntil : undefined);
      this.#members.push(member);
      devices.push(member.device);
    }
    this.wards.push({ siteId, unitId, devices, budget: count - keep });
  }

  /** At the usual pace: certificates are valid from now on. */
  async #enrol(): Promise<void> {
    const enrolling = this.wards.map(async ({ siteId, unitId, devices }) => {
      const body = { siteId, unitId, class: 'patient-monitor', platform: 'iomt', uses: devices.length };
      const { token } = await this.made<{ token: string }>('POST', '/v1/enrollment-tokens', body);
      for (const { serial } of devices) await this.#begin(serial, token);
    });
    await Promise.all(enrolling);
    while ((await this.#reported()) < this.#members.length) await pause(100);
  }

  async #begin(serial: string, token: string): Promise<void> {
    const member = this.#members.find(({ profile }) => profile.serial === serial);
    if (member === undefined) throw new Error(`There is no device ${serial}.`);
    const { endpoints } = this.cloud;
    const { signal } = this.#stopDevices;
    const device = new SimulatedDevice({
      profile: member.profile,
      seed,
      time: timeOf(this.#clock),
      store: member.store,
      enroll: endpoints.enroll,
      endpoints: { device: endpoints.device, mqtt: endpoints.mqtt },
      ca: readFileSync(endpoints.ca, 'utf8'),
    });
    await device.enrol(token, signal);
    this.#lives.push(device.run(signal));
  }

  async #reported(): Promise<number> {
    const versions = await Promise.all(
      this.#members.map(({ device }) => this.versionOf(device).catch(() => undefined)),
    );
    return versions.filter((version) => version !== undefined).length;
  }

  /**
   * Cloud and devices have the same time: that of who is ahead. The devices' has gone on while the cloud was away, and a
   * device whose clock is fast is held back, since nobody knows how old its words are.
   */
  async #align(): Promise<void> {
    const ahead = (await nowOf(this.cloud)) - this.#clock.now();
    if (ahead > 0) this.#clock.skip(ahead);
    else if (ahead < 0) await this.#control({ skip: -ahead / 1_000 });
  }

  async #control(body: object): Promise<void> {
    const address = `${this.cloud.endpoints.awsEndpoint}/_wardline/clock`;
    const response = await fetch(address, { method: 'PUT', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
  }
}

/** A rollout of a firmware to all monitors: one ward, the rest of its site, the other site. */
export function firmware(version: string, changes: Readonly<Record<string, unknown>> = {}) {
  // A gate that a ward of four decides: it finds gross defects, and one failure stops it.
  const gate = gateFor(0.5);
  return {
    name: `Monitor firmware ${version}`,
    artifact: {
      kind: 'firmware',
      name: 'monitor-firmware',
      version,
      sha256: 'ab'.repeat(32),
      signature: Buffer.from('signed by the maker').toString('base64'),
    },
    selection: { classes: ['patient-monitor'] },
    waves: [
      { name: 'One unit', scope: { kind: 'one-unit' }, bakeHours: 24, gate },
      { name: 'One site', scope: { kind: 'one-site' }, bakeHours: 24, gate },
      { name: 'The rest', scope: { kind: 'rest' }, bakeHours: 24, gate },
    ],
    wayBack: 'The monitor keeps the version before and starts it on request.',
    soakHours: 0,
    ...changes,
  };
}

/**
 * The most devices of a ward that were out of service at the same moment, as the devices know it. Each begins after it
 * was let in and has its result before its spare is given back, so that no more may show here than the ward can spare.
 */
export function mostAtOnce({ devices }: Pick<Ward, 'devices'>): number {
  const absences = devices.flatMap((device) => device.absences);
  const awayAt = (at: number) => absences.filter(({ from, to }) => from <= at && (to === undefined || at < to)).length;
  return Math.max(0, ...absences.map(({ from }) => awayAt(from)));
}

const monitor = (serial: string, timeZone: string): DeviceProfile => ({
  serial,
  class: 'patient-monitor',
  platform: 'iomt',
  manufacturer: 'Meridian',
  model: 'View 7',
  os: { name: 'View firmware', version: factoryVersion },
  channel: 'mqtt',
  timeZone,
  unitKind: 'ward',
  location: { facility: 'Hospital', building: 'Main', floor: '1', pointOfCare: 'Ward' },
  reliable: true,
});

/** When a device is idle after a use of these hours of the third day. */
function endOfUse(profile: DeviceProfile, now: number): number | undefined {
  const { state, until } = usageAt(seed, profile, now + 47 * hour);
  if (state !== 'in-use' || until < now + 57 * hour || until > now + 68 * hour) return undefined;
  const standby = usageAt(seed, profile, until);
  return standby.state === 'standby' ? standby.until : undefined;
}

/** Nobody uses it, it has power and keeps its network: what happens to it is the rollout's doing. */
function isLeftAlone(profile: DeviceProfile, begin: number, end: number): boolean {
  const { charging, percent } = batteryAt(seed, profile, usageAt(seed, profile, begin), begin);
  if (!charging || percent < 100) return false;
  for (let at = begin; at < end; ) {
    const { state, until } = usageAt(seed, profile, at);
    if (state !== 'idle') return false;
    at = until;
  }
  for (let at = begin; at < end; at += 10 * minute) {
    if (reachabilityAt(seed, profile, at).state !== 'online') return false;
  }
  return true;
}

/** A device whose memory is watched: it outlives the cloud as flash does. */
function memberOf(profile: DeviceProfile, busyUntil: number | undefined) {
  let kept: DeviceMemory = {};
  let boots = 0;
  const versions: string[] = [];
  const absences: Absence[] = [];
  const store: MemoryStore = {
    load: () => kept,
    save(memory) {
      if (memory.osVersion !== kept.osVersion) versions.push(memory.osVersion ?? factoryVersion);
      const last = absences.at(-1);
      const away = last !== undefined && last.to === undefined;
      const updates = memory.journal?.some(({ type, result }) => type === 'activate-update' && result === undefined);
      if (updates === true && !away) absences.push({ from: performance.now() });
      else if (updates !== true && away) last.to = performance.now();
      if (memory.bootedAt !== kept.bootedAt && kept.bootedAt !== undefined) boots += 1;
      kept = memory;
    },
  };
  const device: NetworkDevice = {
    id: deviceIdOf(profile.serial),
    serial: profile.serial,
    versions,
    boots: () => boots,
    absences,
    ...(busyUntil === undefined ? {} : { busyUntil }),
  };
  return { device, profile, store };
}

const timeOf = (clock: RunningClock): Time => ({
  now: () => clock.now(),
  wait: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const cancel = clock.at(clock.now() + Math.max(0, milliseconds), done);
      function done(): void {
        cancel();
        signal?.removeEventListener('abort', done);
        resolve();
      }
      signal?.addEventListener('abort', done, { once: true });
    }),
});

/** A port that is free now, with six free ones after it: what the devices know stays right over a restart. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const first = 20_000 + 10 * Math.floor(Math.random() * 1_200);
    const ports = Array.from({ length: 7 }, (_, index) => first + index);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return first;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

async function nowOf(cloud: LocalCloud): Promise<number> {
  const response = await fetch(`${cloud.endpoints.awsEndpoint}/_wardline/clock`);
  return Date.parse(((await response.json()) as { now: string }).now);
}
