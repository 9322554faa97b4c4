import { normalizeSerial } from '../devices/device.ts';

/** A serial number has at most 64 characters: the upper bound of X.520's `serialNumber` attribute. */
export const maximumSerialLength = 64;

/**
 * What X.520 lets a `serialNumber` hold (PrintableString), less the quote, question mark and equals sign, which no
 * maker prints on a device and which confuse those who read a distinguished name as text.
 */
const pattern = /^[A-Z0-9](?:[A-Z0-9 ()+,./:-]{0,62}[A-Z0-9)])?$/;

/**
 * The serial number in the form in which it is compared and stored, or `undefined` when no device certificate could
 * carry it (empty, longer than 64 characters, characters outside of the printable set).
 */
export function parseSerial(text: string): string | undefined {
  if (text.length > 4 * maximumSerialLength) return undefined;
  const serial = normalizeSerial(text);
  return pattern.test(serial) ? serial : undefined;
}
