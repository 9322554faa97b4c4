import fc from 'fast-check';
import { deviceIdOf } from '../../../../shared/devices/device.ts';
import { maximumSerialLength, parseSerial } from '../../../../shared/enrollment/serial.ts';

describe('parseSerial', () => {
  test.each([
    ['abc-123', 'ABC-123'],
    ['  C02XK0AAJG5J ', 'C02XK0AAJG5J'],
    ['7', '7'],
    ['SN 12,', undefined],
    ['SN 12/34:56.(7)+8', 'SN 12/34:56.(7)+8'],
    ['A'.repeat(64), 'A'.repeat(64)],
    ['A'.repeat(65), undefined],
    ['', undefined],
    ['   ', undefined],
    ['-A', undefined],
    ['A_B', undefined],
    ['A=B', undefined],
    ['Ä1', undefined],
    ['A\u0000', undefined],
    ['A\nB', undefined],
  ])('%j is %j', (text, serial) => {
    expect(parseSerial(text)).toBe(serial);
  });

  test('what comes out goes in unchanged, fits into a certificate, and names the same device', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        const serial = parseSerial(text);
        if (serial === undefined) return;
        expect(parseSerial(serial)).toBe(serial);
        expect(serial.length).toBeLessThanOrEqual(maximumSerialLength);
        expect(serial).toMatch(/^[\x20-\x7e]+$/);
        expect(deviceIdOf(serial)).toBe(deviceIdOf(text));
      }),
    );
  });
});
