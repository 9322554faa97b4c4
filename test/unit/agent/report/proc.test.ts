import fc from 'fast-check';
import {
  parseBootTime,
  parseDefaultRoutes,
  parseMemory,
  parseMounts,
  parseProcessors,
  parseSwaps,
} from '../../../../agent/report/proc.ts';

test('memory in bytes', () => {
  expect(parseMemory('MemTotal:       24684096 kB\nMemFree: 1 kB\n')).toBe(24_684_096 * 1024);
  expect(parseMemory('MemFree: 1 kB\n')).toBeUndefined();
  expect(parseMemory('MemTotal: many kB')).toBeUndefined();
});

test('processors are counted; ARM names no model', () => {
  expect(parseProcessors('processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n')).toEqual({
    model: 'AMD EPYC',
    count: 2,
  });
  expect(parseProcessors('processor\t: 0\nBogoMIPS\t: 108.00\n')).toEqual({ model: undefined, count: 1 });
  expect(parseProcessors('')).toEqual({ model: undefined, count: undefined });
});

test('boot time', () => {
  expect(parseBootTime('cpu 1 2\nbtime 1763915000\nprocesses 4\n')).toBe(1_763_915_000_000);
  expect(parseBootTime('btime 0\n')).toBeUndefined();
  expect(parseBootTime('')).toBeUndefined();
});

test('mounts with blanks and tabs in their paths', () => {
  expect(
    parseMounts('/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /media/my\\040disk\\011x vfat rw 0 0\nhalf a line\n\n'),
  ).toEqual([
    { source: '/dev/sda1', path: '/', type: 'ext4' },
    { source: '/dev/sdb1', path: '/media/my disk\tx', type: 'vfat' },
  ]);
});

test('swap devices and files', () => {
  const text =
    'Filename\t\t\t\tType\t\tSize\n/dev/dm-1                               partition\t975868\t0\t-2\n/swap\\040file file 1 0 -3\n';
  expect(parseSwaps(text)).toEqual(['/dev/dm-1', '/swap file']);
  expect(parseSwaps('')).toEqual([]);
});

test('default routes, once for each interface', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t00000000\t020200C0\t0003\t0\t0\t9\t00000000\t0\t0\t0',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'wlan0\t00000000',
  ].join('\n');
  expect(parseDefaultRoutes(text)).toEqual(['eth0']);
});

test('nothing that a file holds makes a parser fail', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      parseMemory(text);
      parseProcessors(text);
      parseBootTime(text);
      parseDefaultRoutes(`x\n${text}`);
      for (const mount of parseMounts(text)) expect(mount.source).not.toBe('');
      for (const swap of parseSwaps(`x\n${text}`)) expect(swap.startsWith('/')).toBe(true);
    }),
  );
});
