/** What makers leave in a firmware field that they did not fill in. */
const PLACEHOLDER =
  /^(|0+|x+|\.+|none|n\/?a|null|invalid|unknown|not (specified|available|applicable|provided)|default string|to be filled.*|system (serial number|product name|manufacturer|version)|o\.?e\.?m\.?|0?123456789(0)?|chassis serial number|empty)$/i;

/** A firmware field (DMI, device tree) as it can be used: control characters and blanks around removed, placeholders left out. */
export function firmwareField(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  // A device tree ends its strings with NUL.
  const clean = [...text]
    .filter((character) => character >= ' ' && character !== '\u007f')
    .join('')
    .trim();
  return PLACEHOLDER.test(clean) || clean.length > 128 ? undefined : clean;
}

/** Serial numbers that a device certificate can carry (X.520 PrintableString, 64 characters). */
const SERIAL = /^[A-Z0-9](?:[A-Z0-9 ()+,./:-]{0,62}[A-Z0-9)])?$/;

/** Where a machine's serial number came from. */
export type SerialSource = 'option' | 'firmware' | 'machine-id';

/**
 * The serial number that a machine enrols with: what the person said, else the firmware's, else one derived from
 * `/etc/machine-id`. The machine id itself is not sent: its documentation asks to keep it to the machine.
 *
 * @param digest of a text, lower-case hex
 */
export function serialNumber(
  sources: { option?: string | undefined; firmware: readonly (string | undefined)[]; machineId?: string | undefined },
  digest: (text: string) => string,
): { serial: string; source: SerialSource } | undefined {
  if (sources.option !== undefined) {
    const serial = sources.option.trim().toUpperCase();
    return SERIAL.test(serial) ? { serial, source: 'option' } : undefined;
  }
  for (const field of sources.firmware) {
    const serial = firmwareField(field)?.toUpperCase();
    if (serial !== undefined && SERIAL.test(serial)) return { serial, source: 'firmware' };
  }
  const [machineId] = /^[0-9a-f]{32}$/i.exec(sources.machineId?.trim() ?? '') ?? [];
  if (machineId === undefined || /^0+$/.test(machineId)) return undefined;
  return {
    serial: `LNX-${digest(`wardline:machine:${machineId.toLowerCase()}`).slice(0, 24).toUpperCase()}`,
    source: 'machine-id',
  };
}
