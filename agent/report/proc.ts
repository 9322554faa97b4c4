/** Total memory in bytes, from `/proc/meminfo`. */
export function parseMemory(text: string): number | undefined {
  const [, kilobytes] = /^MemTotal:\s+(\d{1,15}) kB\s*$/m.exec(text) ?? [];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

/** Model and number of logical processors, from `/proc/cpuinfo`. ARM names no model there. */
export function parseProcessors(text: string): { model: string | undefined; count: number | undefined } {
  const [, model] = /^(?:model name|Model|Hardware)[ \t]*:[ \t]*(\S.*)$/m.exec(text) ?? [];
  const count = [...text.matchAll(/^processor[ \t]*:/gm)].length;
  return { model: model?.trim(), count: count === 0 ? undefined : count };
}

/** When the machine was started, from `/proc/stat`; milliseconds since the epoch. */
export function parseBootTime(text: string): number | undefined {
  const [, seconds] = /^btime (\d{1,11})$/m.exec(text) ?? [];
  return seconds === undefined || Number(seconds) === 0 ? undefined : Number(seconds) * 1_000;
}

/** One line of `/proc/self/mounts`. */
export interface Mount {
  readonly source: string;
  readonly path: string;
  readonly type: string;
}

/** Reads `/proc/self/mounts` (fstab form; blanks in paths are written as octal escapes). Malformed lines are passed over. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [source, path, type, options] = line.split(/[ \t]+/);
    if (!source || !path || !type || options === undefined) return [];
    return [{ source: unescapeOctal(source), path: unescapeOctal(path), type }];
  });
}

/** Devices that hold swap, from `/proc/swaps`. */
export function parseSwaps(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [path, type] = line.split(/[ \t]+/);
      return path !== undefined && type !== undefined && path.startsWith('/') ? [unescapeOctal(path)] : [];
    });
}

/** Names of the interfaces that carry a default route, from `/proc/net/route`. */
export function parseDefaultRoutes(text: string): string[] {
  const names = text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name, destination, , , , , , mask] = line.trim().split(/\s+/);
      return name && destination === '00000000' && mask === '00000000' ? [name] : [];
    });
  return [...new Set(names)];
}

const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
