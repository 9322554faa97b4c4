import { linuxInventory } from '../../../../agent/report/inventory.ts';
import { linuxPosture, pendingUpdates } from '../../../../agent/report/posture.ts';
import { assess } from '../../../../shared/compliance/assess.ts';
import { type ImaginedMachine, imagine } from './machine.ts';

const now = Date.parse('2026-03-01T12:00:00Z');

const workstation: ImaginedMachine = {
  files: {
    '/proc/self/mounts': '/dev/mapper/root / ext4 rw 0 0\n/dev/sda1 /boot ext4 rw 0 0\n',
    '/proc/swaps': 'Filename Type\n',
    '/proc/stat': 'btime 1772300000\n',
    '/sys/class/block/sda/size': '2048\n',
    '/sys/class/block/sda1/size': '1024\n',
    '/sys/class/block/sda1/partition': '1\n',
    '/sys/class/block/sda2/size': '1024\n',
    '/sys/class/block/sda2/partition': '2\n',
    '/sys/class/block/dm-0/dm/uuid': 'CRYPT-LUKS2-1-root\n',
    '/sys/class/block/dm-0/slaves/sda2': '',
    '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c': '\u0006\u0000\u0000\u0000\u0001',
    '/var/lib/dpkg/status': '',
    '/var/lib/apt/lists/deb.debian.org_InRelease': '',
    '/etc/ufw/ufw.conf': 'ENABLED=yes\n',
    '/etc/dconf/db/local.d/00-lock': '[org/gnome/desktop/screensaver]\nlock-enabled=true\n',
    '/etc/dconf/db/local.d/locks/lock': '/org/gnome/desktop/screensaver/lock-enabled\n',
  },
  links: {
    '/dev/mapper/root': '/dev/dm-0',
    '/sys/class/block/sda1': '/sys/devices/pci0/block/sda/sda1',
    '/sys/class/block/sda2': '/sys/devices/pci0/block/sda/sda2',
  },
  changed: { '/var/lib/apt/lists/partial': now - 86_400_000 },
  programs: {
    'systemctl get-default': { text: 'graphical.target\n' },
    'systemctl is-active ufw': { text: 'active\n' },
    'timedatectl show': { text: 'yes\n' },
    'apt-get': { text: 'Inst tzdata [1] (2 Debian:12/stable [all])\n' },
  },
};

test('a well kept workstation', async () => {
  const system = imagine(workstation);
  const posture = await linuxPosture(system, await pendingUpdates(system, now));
  expect(posture).toEqual({
    diskEncryption: { state: 'encrypted', volumes: [{ path: '/', type: 'ext4', encryption: 'encrypted' }] },
    screenLock: { state: 'enabled' },
    updates: { security: 0, total: 1, restartRequired: 'unknown' },
    firewall: { state: 'enabled', by: 'ufw' },
    secureBoot: 'enabled',
    clockSynchronized: true,
    bootedAt: '2026-02-28T17:33:20.000Z',
  });
  expect(assess(posture)).toBe('compliant');
});

test('no firewall is told only when none can hide: the older tables do not show among the rules', async () => {
  const rules = { 'nft --json': { text: '{"nftables":[{"metainfo":{}}]}' } };
  const none = await linuxPosture(imagine({ programs: rules }), {});
  expect(none['firewall']).toEqual({ state: 'disabled' });
  const files = { '/proc/net/ip_tables_names': 'filter\n' };
  const older = await linuxPosture(imagine({ programs: rules, files }), {});
  expect(older['firewall']).toEqual({ state: 'unknown' });
});

test('a machine that shows nothing is unknown in everything', async () => {
  const system = imagine({});
  const posture = await linuxPosture(system, await pendingUpdates(system, now));
  expect(posture).toEqual({
    diskEncryption: { state: 'unknown' },
    screenLock: { state: 'unknown' },
    updates: { security: 'unknown', total: 'unknown', restartRequired: 'unknown' },
    firewall: { state: 'unknown' },
    secureBoot: 'unknown',
    clockSynchronized: 'unknown',
    bootedAt: 'unknown',
  });
  expect(assess(posture)).toBe('unknown');
});

test('package lists that are old or missing say nothing', async () => {
  const old = imagine({ ...workstation, changed: { '/var/lib/apt/lists/partial': now - 8 * 86_400_000 } });
  expect((await pendingUpdates(old, now))['security']).toBe('unknown');
  expect(old.ran).not.toContainEqual(expect.stringContaining('apt-get'));
  const { '/var/lib/apt/lists/deb.debian.org_InRelease': _, ...files } = workstation.files ?? {};
  expect((await pendingUpdates(imagine({ ...workstation, files }), now))['security']).toBe('unknown');
});

test('a package manager that fails or hangs leaves the count unknown', async () => {
  const programs = { ...workstation.programs, 'apt-get': { code: 100, text: 'Inst x [1] (2 A [all])' } };
  expect((await pendingUpdates(imagine({ ...workstation, programs }), now))['total']).toBe('unknown');
});

test('a server without a graphical log-in has no screen to lock', async () => {
  const programs = { ...workstation.programs, 'systemctl get-default': { text: 'multi-user.target\n' } };
  const posture = await linuxPosture(imagine({ ...workstation, programs }), {});
  expect(posture['screenLock']).toEqual({ state: 'not-applicable' });
});

test('a screen lock that users may switch off is unknown', async () => {
  const { '/etc/dconf/db/local.d/locks/lock': _, ...files } = workstation.files ?? {};
  expect((await linuxPosture(imagine({ ...workstation, files }), {}))['screenLock']).toEqual({ state: 'unknown' });
});

test('the inventory names what the firmware says and admits the rest', () => {
  const system = imagine({
    files: {
      ...workstation.files,
      '/etc/os-release': 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian"\n',
      '/sys/class/dmi/id/sys_vendor': 'Nordvik\n',
      '/sys/class/dmi/id/product_name': 'To be filled by O.E.M.\n',
      '/sys/class/net/eth0/address': '52:54:00:12:34:56\n',
      '/sys/class/net/eth0/operstate': 'up\n',
      '/sys/class/net/lo/address': '00:00:00:00:00:00\n',
    },
    links: workstation.links ?? {},
  });
  expect(linuxInventory(system, { serial: 'S1', source: 'option' })).toMatchObject({
    serial: 'S1',
    manufacturer: 'Nordvik',
    model: 'unknown',
    memoryBytes: 'unknown',
    os: { id: 'debian', version: '12' },
    disks: [{ name: 'sda', bytes: 2048 * 512, removable: false }],
    network: [
      { name: 'eth0', kind: 'wired', mac: '52:54:00:12:34:56', state: 'up', addresses: [], defaultRoute: false },
    ],
  });
});
