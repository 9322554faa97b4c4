import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { firmwareField, serialNumber } from '../../../../agent/report/hardware.ts';
import { parseSerial } from '../../../../shared/enrollment/serial.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

test.each([
  '',
  ' ',
  '0',
  '00000000',
  'None',
  'To Be Filled By O.E.M.',
  'Default string',
  'System Serial Number',
  'Not Specified',
  '123456789',
  'N/A',
  'INVALID',
])('a placeholder of the maker is no fact: %j', (text) => {
  expect(firmwareField(text)).toBeUndefined();
});

test('firmware fields lose NUL and blanks around', () => {
  expect(firmwareField('Raspberry Pi 5\u0000')).toBe('Raspberry Pi 5');
  expect(firmwareField(' PF-1X2Y \n')).toBe('PF-1X2Y');
});

test('what the person says comes first, then the firmware, then the machine id', () => {
  const machineId = '0123456789abcdef0123456789abcdef\n';
  expect(serialNumber({ option: ' abc-1 ', firmware: ['PF1'], machineId }, digest)).toEqual({
    serial: 'ABC-1',
    source: 'option',
  });
  expect(serialNumber({ firmware: [undefined, 'None', 'pf1x'], machineId }, digest)).toEqual({
    serial: 'PF1X',
    source: 'firmware',
  });
  const derived = serialNumber({ firmware: [], machineId }, digest);
  expect(derived?.source).toBe('machine-id');
  expect(derived?.serial).toMatch(/^LNX-[0-9A-F]{24}$/);
  expect(derived?.serial).not.toContain('0123456789ABCDEF');
});

test('an option that no certificate can carry is refused, not replaced', () => {
  expect(serialNumber({ option: 'a"b', firmware: ['PF1'] }, digest)).toBeUndefined();
  expect(serialNumber({ option: '', firmware: ['PF1'] }, digest)).toBeUndefined();
});

test('an empty machine id is none', () => {
  expect(serialNumber({ firmware: [], machineId: '0'.repeat(32) }, digest)).toBeUndefined();
  expect(serialNumber({ firmware: [], machineId: 'uninitialized' }, digest)).toBeUndefined();
});

test('every serial number that is found can be enrolled with', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const found = serialNumber({ firmware: [text], machineId: undefined }, digest);
      if (found !== undefined) expect(parseSerial(found.serial)).toBe(found.serial);
    }),
  );
});
