import { UNKNOWN } from './known.ts';

/** Which operating system a machine runs. */
export interface OperatingSystem {
  /** e.g. `debian` */
  readonly id: string;
  /** For people, e.g. `Debian GNU/Linux 12 (bookworm)`. */
  readonly name: string;
  /** e.g. `12`; rolling distributions have none. */
  readonly version: string;
}

/**
 * Reads `/etc/os-release` (https://www.freedesktop.org/software/systemd/man/latest/os-release.html): shell-like
 * assignments. A line that is none is passed over; of two assignments the last counts, as in a shell.
 */
export function parseOsRelease(text: string): OperatingSystem {
  const values = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw] = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && raw !== undefined) values.set(name, unquote(raw.trim()));
  }
  const said = (...names: string[]): string => names.map((name) => values.get(name)).find((value) => value) ?? UNKNOWN;
  return { id: said('ID'), name: said('PRETTY_NAME', 'NAME', 'ID'), version: said('VERSION_ID', 'BUILD_ID') };
}

function unquote(raw: string): string {
  const single = /^'([^']*)'/.exec(raw);
  if (single !== null) return single[1] ?? '';
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(raw);
  return (double?.[1] ?? raw).replace(/\\(.)/g, '$1');
}
