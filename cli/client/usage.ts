/** The command line is not understood; the message says why and what it should be. */
export class UsageError extends Error {
  constructor(problem: string, help: string) {
    super(`${problem}\n\n${help}`);
    this.name = 'UsageError';
  }
}

/** Runs a parser of `node:util`; what it refuses becomes a `UsageError`. */
export function parsed<T>(parse: () => T, help: string): T {
  try {
    return parse();
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error), help);
  }
}
