import type { Log } from '../cloud.ts';

/** A log that writes lines to standard output and warnings to standard error. */
export const consoleLog: Log = {
  info: (message) => console.log(message),
  warn: (message) => console.error(`warning: ${message}`),
};

/** A log that keeps its lines, for tests. */
export function memoryLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    info: (message) => lines.push(message),
    warn: (message) => lines.push(`warning: ${message}`),
  };
}
