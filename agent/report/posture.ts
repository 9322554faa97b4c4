import { blockDevicesOf } from './block-devices.ts';
import { parseNftRuleset, parseUfwConfiguration } from './firewall.ts';
import { UNKNOWN } from './known.ts';
import { parseBootTime, parseMounts, parseSwaps } from './proc.ts';
import { screenLockPolicy } from './screen-lock.ts';
import { storageEncryption } from './storage.ts';
import type { System } from './system.ts';
import { type PendingUpdates, parseAptSimulation, parseDnfUpdateInfo } from './updates.ts';

/** Package lists older than this say nothing about what is missing today. */
const LISTS_VALID_MS = 7 * 86_400_000;

/** A package manager that thinks for longer is left alone: the answer is `unknown`. */
const PACKAGE_MANAGER_MS = 60_000;
const PROGRAM_MS = 5_000;

/** Security state of a Linux machine. Each value that cannot be found out is `unknown`. */
export async function linuxPosture(system: System, updates: Record<string, unknown>): Promise<Record<string, unknown>> {
  const booted = parseBootTime(system.text('/proc/stat') ?? '');
  return {
    diskEncryption: diskEncryption(system),
    screenLock: await screenLock(system),
    updates,
    firewall: await firewall(system),
    secureBoot: secureBoot(system),
    clockSynchronized: await clockSynchronized(system),
    bootedAt: booted === undefined ? UNKNOWN : new Date(booted).toISOString(),
  };
}

function diskEncryption(system: System): Record<string, unknown> {
  const mounts = system.text('/proc/self/mounts');
  if (mounts === undefined) return { state: UNKNOWN };
  const resolve = (path: string): string => (path.startsWith('/dev/') ? (system.real(path) ?? path) : path);
  const { state, volumes } = storageEncryption(
    parseMounts(mounts).map((mount) => ({ ...mount, source: resolve(mount.source) })),
    parseSwaps(system.text('/proc/swaps') ?? '').map(resolve),
    blockDevicesOf(system),
  );
  return { state, volumes };
}

/**
 * A machine without a graphical log-in has no screen to lock. Where there is one, only what the administrator set for
 * everybody can be read; each user's own choice is theirs, and unknown to us.
 */
async function screenLock(system: System): Promise<Record<string, unknown>> {
  const target = await system.run('systemctl', ['get-default'], PROGRAM_MS);
  const graphical = system.link('/etc/systemd/system/display-manager.service') !== undefined;
  if (target?.code === 0 && target.text.trim() !== 'graphical.target' && !graphical) return { state: 'not-applicable' };
  const folders = (system.list('/etc/dconf/db') ?? [])
    .filter((name) => name.endsWith('.d'))
    .map((name) => `/etc/dconf/db/${name}`);
  const texts = (folder: string): string[] =>
    (system.list(folder) ?? []).flatMap((name) => system.text(`${folder}/${name}`) ?? []);
  const policy = screenLockPolicy(
    folders.flatMap(texts),
    folders.flatMap((folder) => texts(`${folder}/locks`)),
  );
  // A default that a user may change says nothing about this user.
  if (!policy?.enforced) return { state: UNKNOWN };
  return { state: policy.enabled ? 'enabled' : 'disabled' };
}

/** Said of updates until the package manager has been asked. */
export const UPDATES_UNKNOWN = { security: UNKNOWN, total: UNKNOWN, restartRequired: UNKNOWN } as const;

/** What waits to be installed. Takes seconds, so it is asked seldom. */
export async function pendingUpdates(system: System, now: number): Promise<Record<string, unknown>> {
  const restart = restartRequired(system);
  const counted = await count(system, now);
  return {
    security: counted?.security ?? UNKNOWN,
    total: counted?.total ?? UNKNOWN,
    restartRequired: restart ?? UNKNOWN,
  };
}

async function count(system: System, now: number): Promise<PendingUpdates | undefined> {
  if (system.list('/var/lib/dpkg') !== undefined) {
    const lists = aptListsChanged(system);
    if (lists === undefined || now - lists > LISTS_VALID_MS) return undefined;
    const output = await system.run(
      'apt-get',
      ['--simulate', '--quiet', '-o', 'Debug::NoLocking=true', 'dist-upgrade'],
      PACKAGE_MANAGER_MS,
    );
    return output?.code === 0 ? parseAptSimulation(output.text) : undefined;
  }
  if (system.list('/etc/dnf') !== undefined) {
    // From the cache: a report must not load the mirrors of a hospital's whole fleet.
    const output = await system.run(
      'dnf',
      ['--quiet', '--cacheonly', 'updateinfo', 'list', '--updates'],
      PACKAGE_MANAGER_MS,
    );
    return output?.code === 0 ? parseDnfUpdateInfo(output.text) : undefined;
  }
  return undefined;
}

/**
 * When the package lists were last fetched; undefined when there are none. The lists themselves carry the time of the
 * archive, so the folders that fetching writes to are asked.
 */
function aptListsChanged(system: System): number | undefined {
  const folder = '/var/lib/apt/lists';
  if (!system.list(folder)?.some((name) => name.endsWith('Release'))) return undefined;
  const places = [folder, `${folder}/partial`, '/var/lib/apt/periodic/update-success-stamp'];
  const times = places.map((path) => system.changed(path)).filter((time) => time !== undefined);
  return times.length === 0 ? undefined : Math.max(...times);
}

/** The marker says yes; its absence says no only where something is installed that would set it. */
function restartRequired(system: System): boolean | undefined {
  if (system.text('/run/reboot-required') !== undefined) return true;
  return system.text('/usr/share/update-notifier/notify-reboot-required') === undefined ? undefined : false;
}

async function firewall(system: System): Promise<Record<string, unknown>> {
  const ufw = parseUfwConfiguration(system.text('/etc/ufw/ufw.conf') ?? '');
  if (ufw === true) {
    const unit = await system.run('systemctl', ['is-active', 'ufw'], PROGRAM_MS);
    if (unit?.text.trim() === 'active') return { state: 'enabled', by: 'ufw' };
  }
  const firewalld = await system.run('systemctl', ['is-active', 'firewalld'], PROGRAM_MS);
  if (firewalld?.text.trim() === 'active') return { state: 'enabled', by: 'firewalld' };
  // Needs to be root: for everybody else the rules of the kernel are a secret, and the answer unknown.
  const rules = await system.run('nft', ['--json', 'list', 'ruleset'], PROGRAM_MS);
  const filters = rules?.code === 0 ? parseNftRuleset(rules.text) : undefined;
  if (filters === undefined) return { state: UNKNOWN };
  if (filters) return { state: 'enabled', by: 'nftables' };
  // The older tables do not show in the rule set.
  const older = ['ip', 'ip6'].some((family) => system.text(`/proc/net/${family}_tables_names`)?.trim());
  return { state: older ? UNKNOWN : 'disabled' };
}

/** EFI variable SecureBoot: four bytes of attributes, then 1 or 0. A machine without EFI cannot do it. */
function secureBoot(system: System): string {
  if (system.list('/sys/firmware/efi') === undefined) {
    return system.list('/sys/firmware') === undefined ? UNKNOWN : 'not-supported';
  }
  const variable = system.bytes('/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c');
  const [value] = variable?.length === 5 ? variable.subarray(4) : [];
  if (value === 1) return 'enabled';
  return value === 0 ? 'disabled' : UNKNOWN;
}

async function clockSynchronized(system: System): Promise<boolean | string> {
  const output = await system.run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], PROGRAM_MS);
  const answer = output?.code === 0 ? output.text.trim() : '';
  return answer === 'yes' ? true : answer === 'no' ? false : UNKNOWN;
}
