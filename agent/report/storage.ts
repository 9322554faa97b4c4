import type { Mount } from './proc.ts';

/** A block device as `/sys/class/block/<name>` shows it. */
export interface BlockDevice {
  readonly name: string;
  readonly bytes: number | undefined;
  readonly model: string | undefined;
  readonly removable: boolean;
  /** Of a partition: it has a parent that is listed as well. */
  readonly partition: boolean;
  /** `dm/uuid`, device mapper only; `CRYPT-…` is dm-crypt. */
  readonly mapperUuid: string | undefined;
  /** Names of the devices that it is made of (`slaves/`); for a partition its disk. */
  readonly parents: readonly string[];
}

/** Whether what is written ends up encrypted, as far as the operating system can see. */
export type Encryption = 'encrypted' | 'not-encrypted' | 'unknown';

/** A place where data is kept. */
export interface Volume {
  /** Mount point, or `swap`. */
  readonly path: string;
  readonly type: string;
  readonly encryption: Encryption;
}

/** Encryption of the whole machine. */
export interface StorageEncryption {
  readonly state: Encryption | 'partly-encrypted';
  readonly volumes: readonly Volume[];
}

/** File systems that keep what is written to them. Others (tmpfs, proc, network file systems) are no disks of this machine. */
const DISK_FILE_SYSTEMS = new Set([
  'ext2',
  'ext3',
  'ext4',
  'xfs',
  'btrfs',
  'f2fs',
  'jfs',
  'reiserfs',
  'bcachefs',
  'zfs',
  'ntfs',
  'ntfs3',
  'exfat',
  'vfat',
  'ecryptfs',
]);

/** Read before any key can be: boot loader and kernel. They hold no data of anybody. */
const STARTS_THE_MACHINE = /^\/(boot|efi|boot\/.*)$/;

/** Images that are mounted read-only; what is in them was downloaded. */
const IMAGE = /^\/(snap|var\/lib\/snapd\/snap)\//;

/**
 * Which volumes lie on dm-crypt. A volume is encrypted when each path from it down to a disk passes a dm-crypt device.
 * A drive that encrypts by itself cannot be seen from here, so `not-encrypted` speaks of the operating system.
 *
 * @param mounts with sources resolved to `/dev/<name>` where they are links
 * @param swaps devices or files that hold swap, resolved likewise
 */
export function storageEncryption(
  mounts: readonly Mount[],
  swaps: readonly string[],
  devices: readonly BlockDevice[],
): StorageEncryption {
  const byName = new Map(devices.map((device) => [device.name, device]));
  const volumes = new Map<string, Volume>();
  for (const { source, path, type } of mounts) {
    if (!DISK_FILE_SYSTEMS.has(type) || STARTS_THE_MACHINE.test(path) || IMAGE.test(path)) continue;
    volumes.set(path, { path, type, encryption: encryptionOf(source, byName) });
  }
  for (const source of swaps) {
    // Compressed memory, not a disk; and a swap file is as safe as the file system that it is in.
    if (!source.startsWith('/dev/') || /^\/dev\/zram\d+$/.test(source)) continue;
    volumes.set(`swap ${source}`, { path: 'swap', type: 'swap', encryption: encryptionOf(source, byName) });
  }
  const list = [...volumes.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { state: overall(list.map(({ encryption }) => encryption)), volumes: list };
}

function overall(states: readonly Encryption[]): StorageEncryption['state'] {
  if (states.length === 0 || states.includes('unknown')) return 'unknown';
  if (states.every((state) => state === 'encrypted')) return 'encrypted';
  return states.includes('encrypted') ? 'partly-encrypted' : 'not-encrypted';
}

function encryptionOf(source: string, devices: ReadonlyMap<string, BlockDevice>): Encryption {
  const [, name] = /^\/dev\/([^/]+)$/.exec(source) ?? [];
  // A pool or a directory (ZFS, eCryptfs): encrypted or not, it does not show in the block devices.
  if (name === undefined) return 'unknown';
  return walk(name, devices, new Set());
}

function walk(name: string, devices: ReadonlyMap<string, BlockDevice>, seen: ReadonlySet<string>): Encryption {
  const device = devices.get(name);
  if (device === undefined || seen.has(name)) return 'unknown';
  if (device.mapperUuid?.startsWith('CRYPT-')) return 'encrypted';
  if (device.parents.length === 0) return 'not-encrypted';
  const below = device.parents.map((parent) => walk(parent, devices, new Set([...seen, name])));
  if (below.includes('not-encrypted')) return 'not-encrypted';
  return below.includes('unknown') ? 'unknown' : 'encrypted';
}

/** The disks themselves: no partitions, no layers on top, no empty loop devices, no memory. */
export function disks(
  devices: readonly BlockDevice[],
): { name: string; bytes: number; model?: string; removable: boolean }[] {
  return devices
    .filter(({ name, partition, parents, bytes }) => {
      const layer = partition || parents.length > 0 || /^(loop|zram|ram|dm-|md|nbd|sr)\d/.test(name);
      return !layer && bytes !== undefined && bytes > 0;
    })
    .map(({ name, bytes, model, removable }) => ({
      name,
      bytes: bytes ?? 0,
      ...(model === undefined ? {} : { model }),
      removable,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
