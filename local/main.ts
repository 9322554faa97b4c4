import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Demo, startDemo } from './demo/start.ts';
import { localToken } from './demo/token.ts';
import { type FaultRule, parseFaultPlan } from './endpoint/faults.ts';
import { helpText, type MainOptions, OptionError, readOptions } from './options.ts';
import { explain, FolderUnusable } from './runtime/folder.ts';
import { consoleLog } from './runtime/log.ts';
import { whenParentEnds } from './runtime/parent.ts';
import { javaCommand, javaProblem } from './services/dynamodb/java.ts';
import { type RunningCloud, startLocalCloud } from './start.ts';

/** What `npm start` runs. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(helpText);
    return;
  }
  const state = resolve(options.data ?? '.wardline');
  // A disk that is full in the middle, above all: state that cannot be written must not be answered for.
  process.on('uncaughtException', (error) => fail(error, state));
  const javaMissing = javaProblem(javaCommand());
  if (javaMissing !== undefined) throw javaMissing;
  const running = await startLocalCloud({
    ...cloudOptions(options),
    log: consoleLog,
    ...(options.faults === undefined ? {} : { faults: readFaults(options.faults) }),
  });
  let demo: Demo | undefined;
  let stopping = false;
  const stop = (because: string) => {
    if (stopping) return;
    stopping = true;
    console.log(`${because}, stopping ...`);
    setTimeout(() => process.exit(1), STOP_LIMIT).unref();
    Promise.resolve(demo?.stop())
      .then(() => running.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      );
  };
  process.on('SIGINT', () => stop('Interrupted'));
  process.on('SIGTERM', () => stop('Asked to end'));
  process.on('SIGHUP', () => stop('Terminal closed'));
  whenParentEnds(() => stop('npm has ended'));
  console.log(`Wardline is ready: ${running.urls.api}`);
  if (options.empty) return;
  demo = demoOf(running, options);
  demo.loaded.catch((error: unknown) => {
    if (!stopping) consoleLog.warn(`The demo network could not be loaded: ${error}`);
  });
}

/** A stop in order takes no longer than this, ms. */
const STOP_LIMIT = 15_000;

/** Whoever starts the demo twice sees the same hospitals. */
const DEMO_SEED = 1;

/** The demo network fills the cloud in the background, through the same doors as everybody. */
function demoOf({ urls, cloud }: RunningCloud, { devices, speed, data }: MainOptions): Demo {
  return startDemo({
    ...urls,
    ca: readFileSync(urls.ca, 'utf8'),
    token: localToken(urls.issuer, 'ada.admin'),
    approvers: {
      patientCare: localToken(urls.issuer, 'bob.biomed'),
      personal: localToken(urls.issuer, 'sue.security'),
    },
    count: devices,
    seed: DEMO_SEED,
    clock: cloud.clock,
    speed,
    log: consoleLog,
    ...(data === undefined ? {} : { data: resolve(data) }),
  });
}

function readFaults(file: string): FaultRule[] {
  try {
    return parseFaultPlan(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error)
      throw new OptionError(`${file} cannot be read (${String(error.code)}); choose another file with --faults FILE.`);
    throw new OptionError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function cloudOptions({ port, data, trace, speed }: MainOptions) {
  return {
    port,
    speed,
    ...(data === undefined ? {} : { data }),
    ...(trace === undefined ? {} : { trace: resolve(trace) }),
  };
}

/**
 * Errors that a person can do something about are one sentence; anything else shows where it happened.
 *
 * @param folder where files are written, for the sentence about a disk that is full
 */
function fail(error: unknown, folder = resolve('.wardline')): void {
  const sentence = explain(error, folder);
  const expected = ['JavaMissing', 'PortTaken', 'StoreInUse', 'SynthFailed', 'TemplateError'];
  if (error instanceof OptionError || error instanceof FolderUnusable) console.error(error.message);
  else if (error instanceof Error && expected.includes(error.name)) console.error(error.message);
  else if (sentence !== undefined) console.error(sentence);
  else console.error(error);
  process.exit(1);
}

await main().catch((error: unknown) => fail(error));
