import fc from 'fast-check';
import { type BlockDevice, disks, storageEncryption } from '../../../../agent/report/storage.ts';

function device(name: string, more: Partial<BlockDevice> = {}): BlockDevice {
  return {
    name,
    bytes: 1_000,
    model: undefined,
    removable: false,
    partition: false,
    mapperUuid: undefined,
    parents: [],
    ...more,
  };
}

const laptop = [
  device('nvme0n1', { model: 'SSD 1' }),
  device('nvme0n1p1', { partition: true, parents: ['nvme0n1'] }),
  device('nvme0n1p2', { partition: true, parents: ['nvme0n1'] }),
  device('dm-0', { mapperUuid: 'CRYPT-LUKS2-abc-root', parents: ['nvme0n1p2'] }),
  device('dm-1', { mapperUuid: 'LVM-xyz', parents: ['dm-0'] }),
  device('dm-2', { mapperUuid: 'LVM-swap', parents: ['dm-0'] }),
];
const root = { source: '/dev/dm-1', path: '/', type: 'ext4' };

test('LVM on dm-crypt is encrypted; the boot partition does not count', () => {
  const mounts = [root, { source: '/dev/nvme0n1p1', path: '/boot/efi', type: 'vfat' }];
  expect(storageEncryption(mounts, ['/dev/dm-2'], laptop)).toEqual({
    state: 'encrypted',
    volumes: [
      { path: '/', type: 'ext4', encryption: 'encrypted' },
      { path: 'swap', type: 'swap', encryption: 'encrypted' },
    ],
  });
});

test('a plain data partition beside an encrypted root is partly encrypted', () => {
  const mounts = [root, { source: '/dev/nvme0n1p1', path: '/data', type: 'xfs' }];
  expect(storageEncryption(mounts, [], laptop).state).toBe('partly-encrypted');
});

test('plain swap beside an encrypted root is partly encrypted; compressed memory and swap files do not count', () => {
  expect(storageEncryption([root], ['/dev/nvme0n1p1'], laptop).state).toBe('partly-encrypted');
  expect(storageEncryption([root], ['/dev/zram0', '/swapfile'], laptop).state).toBe('encrypted');
});

test('a mirror of which one half is plain is not encrypted', () => {
  const devices = [
    device('sda'),
    device('sdb'),
    device('dm-0', { mapperUuid: 'CRYPT-LUKS2-a', parents: ['sda'] }),
    device('md0', { parents: ['dm-0', 'sdb'] }),
  ];
  expect(storageEncryption([{ source: '/dev/md0', path: '/', type: 'ext4' }], [], devices).state).toBe('not-encrypted');
});

test('what does not show in the block devices is unknown, never guessed', () => {
  const pool = { source: 'rpool/ROOT', path: '/', type: 'zfs' };
  expect(storageEncryption([pool], [], laptop).state).toBe('unknown');
  expect(storageEncryption([root, { ...pool, path: '/srv' }], [], laptop).state).toBe('unknown');
  expect(storageEncryption([{ ...root, source: '/dev/root' }], [], laptop).state).toBe('unknown');
  expect(storageEncryption([], [], laptop).state).toBe('unknown');
});

test('memory and network file systems are no disks of the machine', () => {
  const mounts = [
    root,
    { source: 'tmpfs', path: '/tmp', type: 'tmpfs' },
    { source: 'nas:/x', path: '/mnt', type: 'nfs4' },
  ];
  expect(storageEncryption(mounts, [], laptop).state).toBe('encrypted');
});

test('encrypted is said only when every volume lies on dm-crypt, whatever the graph', () => {
  const names = ['a', 'b', 'c', 'd'];
  const graph = fc.tuple(
    ...names.map((name) =>
      fc.record({
        name: fc.constant(name),
        parents: fc.uniqueArray(fc.constantFrom(...names, 'missing'), { maxLength: 3 }),
        mapperUuid: fc.constantFrom(undefined, 'CRYPT-PLAIN-x', 'LVM-y'),
      }),
    ),
  );
  fc.assert(
    fc.property(graph, fc.uniqueArray(fc.constantFrom(...names)), (parts, mounted) => {
      const devices = parts.map((part) => device(part.name, part));
      const mounts = mounted.map((name) => ({ source: `/dev/${name}`, path: `/${name}`, type: 'ext4' }));
      const { state, volumes } = storageEncryption(mounts, [], devices);
      expect(volumes).toHaveLength(mounted.length);
      if (state !== 'encrypted') return;
      const crypt = devices.filter(({ mapperUuid }) => mapperUuid?.startsWith('CRYPT-'));
      expect(crypt.length).toBeGreaterThan(0);
      for (const { encryption } of volumes) expect(encryption).toBe('encrypted');
    }),
  );
});

test('disks are what has no layer below it and holds something', () => {
  const devices = [
    ...laptop,
    device('loop0', { bytes: 0 }),
    device('sr0'),
    device('zram0'),
    device('sda', { bytes: undefined }),
  ];
  expect(disks(devices)).toEqual([{ name: 'nvme0n1', bytes: 1_000, model: 'SSD 1', removable: false }]);
});
