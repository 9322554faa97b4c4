import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Java is missing or too old for DynamoDB Local. The message is one sentence that says what to do. */
export class JavaMissing extends Error {
  constructor(found: string) {
    super(
      `Java 17 or newer is needed for DynamoDB Local, but ${found}: install one (for example from https://adoptium.net) and put it on PATH or set JAVA_HOME`,
    );
    this.name = 'JavaMissing';
  }
}

/** The oldest major version that runs DynamoDB Local 3. */
const OLDEST = 17;

/** The `java` that will be started: JAVA_HOME's, else the one on PATH. */
export const javaCommand = (environment: NodeJS.ProcessEnv = process.env): string =>
  environment['JAVA_HOME'] === undefined || environment['JAVA_HOME'] === ''
    ? 'java'
    : join(environment['JAVA_HOME'], 'bin', 'java');

/** The major version in what `java -version` prints (`1.8.0` is 8); undefined when it is not that. */
export const javaMajorVersion = (printed: string): number | undefined => {
  const match = /version "(?:1\.)?(\d+)/.exec(printed);
  return match?.[1] === undefined ? undefined : Number(match[1]);
};

/** Why `command` cannot run DynamoDB Local; undefined when it can. Takes about 0.1 s, so it is asked only after a failure. */
export const javaProblem = (command: string): JavaMissing | undefined => {
  const result = spawnSync(command, ['-version'], { encoding: 'utf8', timeout: 20_000 });
  if (result.error !== undefined) return new JavaMissing(`"${command}" cannot be started`);
  const version = javaMajorVersion(result.stderr);
  if (version === undefined) return new JavaMissing(`"${command}" is not a Java runtime`);
  return version < OLDEST ? new JavaMissing(`"${command}" is version ${version}`) : undefined;
};
