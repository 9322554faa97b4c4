import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { AwsService, Json, Log, Part, Ports, ResourceType } from './cloud.ts';
import { CustomResources } from './cloudformation/custom-resource.ts';
import { clockControl, faultControl } from './endpoint/control.ts';
import { FaultPlan, type FaultRule } from './endpoint/faults.ts';
import { AwsEndpoint } from './endpoint/server.ts';
import { openTrace, type TraceEntry } from './endpoint/trace.ts';
import { Roles } from './iam/roles.ts';
import { invocationFaults } from './lambda/faults.ts';
import { type Caller, LambdaService } from './lambda/functions.ts';
import { allParts, type Shared } from './parts.ts';
import { localAuthority } from './runtime/authority.ts';
import { runningClock } from './runtime/clock.ts';
import { checkFolder } from './runtime/folder.ts';
import { ACCOUNT, LocalCloud } from './runtime/local-cloud.ts';
import { isAlive } from './runtime/parent.ts';
import { choosePorts } from './runtime/ports.ts';
import { type ClosableStore, openStore } from './runtime/store.ts';
import { readAssembly, type Template } from './template/assembly.ts';
import { checkStacks, executeStacks, type Outputs } from './template/execute.ts';
import { synthesize } from './template/synth.ts';

/** How a local cloud is started. */
export interface LocalCloudOptions {
  /** First of the ports used; 0 takes free ones. Default 4800. */
  readonly port?: number;
  /** Folder for state that outlives the process; default: in memory. */
  readonly data?: string;
  /** Folder for what this run writes: local.json, logs, the CA certificate, the cloud assembly. Default `.wardline`. */
  readonly folder?: string;
  /** File that gets one JSON line for each AWS call. */
  readonly trace?: string;
  /** Sees every AWS call. */
  readonly onCall?: (entry: TraceEntry) => void;
  /** The fault plan at the start. */
  readonly faults?: readonly FaultRule[];
  /** How many times faster than the wall clock the cloud's clock runs. Default 1. */
  readonly speed?: number;
  readonly log?: Log;
  /** An existing cloud assembly to run instead of synthesizing the app. */
  readonly assembly?: string;
  /** Changes a template before it is executed, for tests that take something away from it. */
  readonly changeTemplate?: (template: Template, stackName: string) => Template;
  /** Parts instead of those of the product, for tests. */
  readonly parts?: (shared: Shared) => Part[];
}

/** Where the clients of a local cloud find it: the content of `.wardline/local.json`. */
export interface LocalUrls {
  readonly api: string;
  readonly device: string;
  readonly enroll: string;
  readonly mqtt: string;
  readonly issuer: string;
  readonly awsEndpoint: string;
  /** Path of the certificate that all local TLS ends in. */
  readonly ca: string;
}

/** A local cloud that is running. */
export interface RunningCloud {
  readonly urls: LocalUrls;
  readonly ports: Ports;
  readonly region: string;
  /** Outputs by stack and name. */
  readonly outputs: Outputs;
  readonly cloud: LocalCloud;
  /** Settable at any time. */
  readonly faults: FaultPlan;
  /** Keys of the account's root, for AWS clients of tools and tests. Functions cannot know them. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Stops everything; what is in `data` stays. */
  stop(): Promise<void>;
}

const REGION = 'us-east-1';
const DEVICE_DOMAIN = 'devices.wardline.localhost';
/** Audience of the access tokens of the local OpenID provider. */
const AUDIENCE = 'wardline';

/** The settings of a local deployment: what an operator would set in cdk context. */
export function localContext(ports: Ports): Readonly<Record<string, Json>> {
  return {
    'wardline:region': REGION,
    'wardline:deviceDomain': {
      name: DEVICE_DOMAIN,
      certificateArn: `arn:aws:acm:${REGION}:${ACCOUNT}:certificate/local`,
    },
    'wardline:oidc': { issuer: `http://localhost:${ports.issuer}`, audience: AUDIENCE },
  };
}

/**
 * Starts a local cloud: synthesizes the app, executes its templates and serves it. Rejects with `PortTaken`,
 * `StoreInUse`, `FolderUnusable`, `JavaMissing`, `SynthFailed` or `TemplateError`, having stopped what had been started.
 */
export async function startLocalCloud(options: LocalCloudOptions = {}): Promise<RunningCloud> {
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    return await start(options, undo, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: LocalCloudOptions,
  undo: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<RunningCloud> {
  const log = options.log ?? { info: () => undefined, warn: () => undefined };
  const folder = resolve(options.folder ?? '.wardline');
  const data = options.data === undefined ? undefined : resolve(options.data);
  for (const used of data === undefined ? [folder] : [folder, data]) checkFolder(used);
  const ports = await choosePorts(options.port ?? 4800);

  const store = openStore(data === undefined ? undefined : join(data, 'cloud.sqlite'));
  undo.push(() => store.close());
  const clock = openClock(store, options.speed ?? 1, undo);
  const neighbour = tidy(folder);
  if (neighbour !== undefined)
    log.warn(
      `Another local cloud runs in this folder (process ${neighbour}); ${join(folder, 'local.json')} now names this one.`,
    );
  const assemblyFolder = options.assembly ?? join(folder, `cdk.out-${process.pid}`);
  if (options.assembly === undefined) {
    undo.push(() => rmSync(assemblyFolder, { recursive: true, force: true }));
    // From here on others see that the folder is in use.
    mkdirSync(assemblyFolder, { recursive: true });
  }
  const authority = localAuthority(store, join(folder, neighbour === undefined ? 'ca.pem' : `ca-${ports.api}.pem`));
  const trace = openTrace(options.trace, log, options.onCall);
  undo.push(() => trace.close());
  const faults = new FaultPlan();
  faults.set(options.faults ?? []);

  const roles = new Roles(ACCOUNT, REGION);
  const customResources = new CustomResources();
  const services = new Map<string, AwsService>();
  const assets = new Map<string, string>();
  const cloud = new LocalCloud({
    region: REGION,
    clock,
    store,
    log,
    authority,
    ports,
    data,
    roles,
    services,
    assets,
    lambda: (self) =>
      new LambdaService(self, {
        logFolder: join(folder, 'logs'),
        time: clock.shared,
        faults: invocationFaults(faults),
      }),
  });
  const credentials = { accessKeyId: `AKIA${randomKey()}`, secretAccessKey: randomKey() };
  const endpoint = new AwsEndpoint({
    services,
    roles,
    faults,
    trace,
    caller: (key, token): Caller | undefined =>
      key === credentials.accessKeyId ? roles.root : cloud.lambda.caller(key, token),
    control: [customResources.control, faultControl(faults), clockControl(clock)],
  });

  const parts = (options.parts ?? allParts)({
    roles,
    customResources,
    mailFile: join(folder, 'logs', 'mail.jsonl'),
    lambda: () => cloud.lambda,
  });
  const types = new Map<string, ResourceType>();
  for (const part of parts) {
    for (const service of part.services ?? []) for (const name of service.signingNames) services.set(name, service);
    for (const type of part.resources ?? []) types.set(type.type, type);
    if (part.stop !== undefined) undo.push(() => part.stop?.());
  }
  await endpoint.listen(ports.aws);
  undo.push(() => endpoint.close());

  log.info('Synthesizing the templates ...');
  const attached = attachAll(parts, cloud);
  const synthesized =
    options.assembly === undefined
      ? synthesize(assemblyFolder, localContext(ports), ACCOUNT, REGION)
      : Promise.resolve();
  // Both are waited for, so that nothing goes on behind the back of a start that has failed.
  const results = await Promise.allSettled([attached, synthesized]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;

  const assembly = readAssembly(assemblyFolder, ACCOUNT, REGION);
  for (const [key, path] of assembly.assets) assets.set(key, path);
  const change = options.changeTemplate ?? ((template) => template);
  const stacks = assembly.stacks.map(({ name, template }) => ({ name, template: change(template, name) }));
  const typeOf = (type: string) => types.get(type) ?? customResources.typeOf(type);
  checkStacks(stacks, typeOf);
  log.info(`Executing ${stacks.map((stack) => stack.name).join(', ')} ...`);
  const outputs = await executeStacks(stacks, typeOf, cloud);
  for (const part of parts) await part.start?.();
  void cloud.lambda.warm();

  const urls: LocalUrls = {
    api: `http://localhost:${ports.api}`,
    device: `https://localhost:${ports.device}`,
    enroll: `https://localhost:${ports.enroll}`,
    mqtt: `mqtts://localhost:${ports.mqtt}`,
    issuer: `http://localhost:${ports.issuer}`,
    awsEndpoint: `http://localhost:${ports.aws}`,
    ca: authority.certificateFile,
  };
  for (const place of data === undefined ? [folder] : [folder, data]) {
    writeFileSync(join(place, 'local.json'), `${JSON.stringify(urls, null, 2)}\n`);
  }
  return { urls, ports, region: REGION, outputs, cloud, faults, credentials, stop };
}

async function attachAll(parts: readonly Part[], cloud: LocalCloud): Promise<void> {
  for (const part of parts) await part.attach?.(cloud);
}

/**
 * Removes cloud assemblies of runs that could not clean up after themselves. Whoever still runs is left alone: returns the
 * process id of one that does, whose CA certificate in this folder is still needed.
 */
function tidy(folder: string): number | undefined {
  let running: number | undefined;
  for (const name of readdirSync(folder)) {
    const owner = Number(/^cdk\.out-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(owner) || owner === process.pid) continue;
    if (isAlive(owner)) running = owner;
    else rmSync(join(folder, name), { recursive: true, force: true });
  }
  return running;
}

/** Between two notes of the time, milliseconds of the wall. */
const noteEvery = 5_000;

/**
 * The clock of a cloud with `--data` never goes back, even when it ran fast before and its process was killed: noted is
 * the time that it may have shown by the note after the next.
 */
function openClock(store: ClosableStore, speed: number, undo: (() => void)[]) {
  const before = store.get<number>('clock', 'now') ?? 0;
  const clock = runningClock(Math.max(Date.now(), before), speed, () => note());
  const note = (ahead = 2 * noteEvery * clock.speed) => store.put('clock', 'now', clock.now() + ahead);
  note();
  const timer = setInterval(() => note(), noteEvery);
  timer.unref();
  undo.push(() => {
    clearInterval(timer);
    clock.stop();
    note(0);
  });
  return clock;
}

function randomKey(): string {
  return Array.from(
    crypto.getRandomValues(new Uint8Array(16)),
    (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte % 32],
  ).join('');
}
