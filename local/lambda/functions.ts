import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join, relative } from 'node:path';
import { AwsError, type Cloud, type Functions, type InvokeResult, type Json, type Principal } from '../cloud.ts';
import { arnWildcard } from '../iam/wildcard.ts';
import { Notices } from '../runtime/notices.ts';
import type { SharedTime } from '../runtime/shared-time.ts';
import { AsyncQueue } from './async-queue.ts';
import { DEFAULT_EVENT_INVOKE, type EventInvokeConfiguration, type FunctionConfiguration } from './configuration.ts';
import { failureReader } from './failures.ts';
import type { InvocationFaults } from './faults.ts';
import type { Instance, InstanceSettings, Outcome } from './instance.ts';
import { Pool } from './pool.ts';

/** Largest payload of a synchronous invocation, bytes. */
const SYNC_LIMIT = 6 * 1024 * 1024;
/** Largest payload of an asynchronous invocation, bytes. */
const ASYNC_LIMIT = 1024 * 1024;

/** A statement of a function's resource policy (AWS::Lambda::Permission). */
interface InvokePermission {
  readonly principal: string;
  readonly sourceArn: RegExp | undefined;
  readonly sourceAccount: string | undefined;
}

/** Settings of Lambda in the local cloud. */
export interface LambdaSettings {
  /** Folder of the functions' log files. */
  readonly logFolder: string;
  /** The cloud's clock, for the functions' threads. */
  readonly time: SharedTime;
  readonly faults: InvocationFaults;
}

/** A caller that the AWS endpoint has recognized by its access key. */
export interface Caller extends Principal {
  /** The instance that calls, by its session token. */
  readonly instance?: Instance;
}

/** Lambda: the functions of the template, their instances, permissions and asynchronous invocations. */
export class LambdaService implements Functions {
  readonly #cloud: Cloud;
  readonly #settings: LambdaSettings;
  readonly #secret: string;
  readonly #pools = new Map<string, Pool>();
  readonly #accessKeys = new Map<string, Pool>();
  readonly #permissions = new Map<string, InvokePermission[]>();
  readonly #eventInvoke = new Map<string, EventInvokeConfiguration>();
  readonly #queue: AsyncQueue;
  /** Log files by function name. */
  readonly #logs = new Map<string, WriteStream>();
  readonly #notices: Notices;
  #stopping = false;

  constructor(cloud: Cloud, settings: LambdaSettings) {
    this.#cloud = cloud;
    this.#settings = settings;
    this.#notices = new Notices(cloud.log);
    this.#secret = cloud.store.get<string>('lambda', 'secret') ?? randomBytes(32).toString('hex');
    cloud.store.put('lambda', 'secret', this.#secret);
    this.#queue = new AsyncQueue(cloud, {
      invoke: (functionArn, payload) => this.invoke(functionArn, payload),
      configuration: (functionArn) => this.#eventInvoke.get(functionArn) ?? DEFAULT_EVENT_INVOKE,
      deadLetterTarget: (functionArn) => this.#pool(functionArn).configuration.deadLetterTarget,
      hasRoom: (functionArn) => !this.#pool(functionArn).full,
    });
    mkdirSync(settings.logFolder, { recursive: true });
  }

  /** Makes a function of the template known. */
  define(configuration: FunctionConfiguration): void {
    const pool = new Pool(configuration, (instanceId) => this.#instanceSettings(configuration, instanceId));
    this.#pools.set(configuration.arn, pool);
    this.#accessKeys.set(accessKey(configuration.arn), pool);
  }

  /** Adds a statement to a function's resource policy. */
  permit(functionArn: string, permission: { principal: string; sourceArn?: string; sourceAccount?: string }): void {
    const permissions = this.#permissions.get(this.arn(functionArn)) ?? [];
    permissions.push({
      principal: permission.principal,
      sourceArn: permission.sourceArn === undefined ? undefined : arnWildcard(permission.sourceArn),
      sourceAccount: permission.sourceAccount,
    });
    this.#permissions.set(this.arn(functionArn), permissions);
  }

  /** Sets what becomes of asynchronous invocations that fail. */
  configureEvents(functionArn: string, configuration: EventInvokeConfiguration): void {
    this.#eventInvoke.set(this.arn(functionArn), configuration);
  }

  /** Throws AccessDeniedException unless a permission lets `service` invoke the function on behalf of `sourceArn`. */
  authorizeInvoke(functionArn: string, service: string, sourceArn: string): void {
    const permitted = (this.#permissions.get(this.arn(functionArn)) ?? []).some(
      (permission) =>
        permission.principal === service &&
        (permission.sourceArn?.test(sourceArn) ?? true) &&
        (permission.sourceAccount ?? this.#cloud.account) === this.#cloud.account,
    );
    if (!permitted) {
      throw new AwsError(
        'AccessDeniedException',
        `${service} is not authorized to perform: lambda:InvokeFunction on resource: ${functionArn} on behalf of ${sourceArn}`,
        403,
      );
    }
  }

  /** The unqualified ARN for a name, an ARN, or an ARN with version or alias. Throws ResourceNotFoundException (404). */
  arn(nameOrArn: string): string {
    const arn = nameOrArn.startsWith('arn:')
      ? nameOrArn.split(':').slice(0, 7).join(':')
      : this.#cloud.arn('lambda', `function:${nameOrArn.split(':')[0] ?? ''}`);
    if (!this.#pools.has(arn)) throw new AwsError('ResourceNotFoundException', `Function not found: ${arn}`, 404);
    return arn;
  }

  role(functionArn: string): string {
    return this.#pool(functionArn).configuration.roleArn;
  }

  async invoke(functionArn: string, payload: Json): Promise<InvokeResult> {
    const pool = this.#pool(functionArn);
    const text = JSON.stringify(payload);
    if (Buffer.byteLength(text) > SYNC_LIMIT) {
      throw new AwsError(
        'RequestTooLargeException',
        `Request must be smaller than ${SYNC_LIMIT} bytes for the InvokeFunction operation`,
        413,
      );
    }
    return await this.#settings.faults.run(pool.configuration.name, async () => resultOf(await pool.invoke(text)));
  }

  invokeAsync(functionArn: string, payload: Json): void {
    const arn = this.arn(functionArn);
    if (Buffer.byteLength(JSON.stringify(payload)) > ASYNC_LIMIT) {
      throw new AwsError(
        'RequestTooLargeException',
        `Request must be smaller than ${ASYNC_LIMIT} bytes for the InvokeFunction operation`,
        413,
      );
    }
    this.#queue.add(arn, payload);
  }

  /** The function and instance that sign with this access key and session token. */
  caller(key: string, sessionToken: string | undefined): Caller | undefined {
    const pool = this.#accessKeys.get(key);
    if (pool === undefined) return undefined;
    const instance = sessionToken === undefined ? undefined : pool.find(sessionToken);
    const { roleArn, name: functionName } = pool.configuration;
    return instance === undefined ? { roleArn, functionName } : { roleArn, functionName, instance };
  }

  /** Takes up asynchronous invocations that a stop left behind. */
  start(): void {
    this.#queue.start();
  }

  /** Loads every function once, one after the other, so that its first caller does not wait for it. */
  async warm(): Promise<void> {
    for (const pool of this.#pools.values()) await pool.warm();
  }

  /** Ends all instances; queued asynchronous invocations stay in the store. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#queue.stop();
    await Promise.all([...this.#pools.values()].map((pool) => pool.stop()));
    await Promise.all([...this.#logs.values()].map((log) => new Promise((resolve) => log.end(resolve))));
  }

  #logFile(name: string): string {
    return join(this.#settings.logFolder, `${name}.log`);
  }

  #log(name: string): WriteStream {
    const open = this.#logs.get(name);
    if (open !== undefined) return open;
    const log = createWriteStream(this.#logFile(name), { flags: 'a' });
    log.on('error', (error) => this.#cloud.log.warn(`the log of ${name} cannot be written: ${error.message}`));
    this.#logs.set(name, log);
    return log;
  }

  #pool(functionArn: string): Pool {
    const pool = this.#pools.get(this.arn(functionArn));
    if (pool === undefined) throw new AwsError('ResourceNotFoundException', `Function not found: ${functionArn}`, 404);
    return pool;
  }

  #instanceSettings(configuration: FunctionConfiguration, instanceId: string): InstanceSettings {
    const { name, arn, memoryMegabytes, environment, folder } = configuration;
    const key = accessKey(arn);
    const seeFailures = failureReader((sentence) =>
      this.#notices.tell(`${name}: ${sentence} (${relative('', this.#logFile(name))})`),
    );
    return {
      environment: {
        TZ: ':UTC',
        LANG: 'en_US.UTF-8',
        NODE_PATH: '',
        ...environment,
        _HANDLER: configuration.handler,
        AWS_ACCESS_KEY_ID: key,
        AWS_SECRET_ACCESS_KEY: createHmac('sha256', this.#secret).update(key).digest('base64').slice(0, 40),
        AWS_SESSION_TOKEN: instanceId,
        AWS_REGION: this.#cloud.region,
        AWS_DEFAULT_REGION: this.#cloud.region,
        AWS_ENDPOINT_URL: `http://127.0.0.1:${this.#cloud.ports.aws}`,
        AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
        AWS_LAMBDA_FUNCTION_NAME: name,
        AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(memoryMegabytes),
        AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
        AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
        AWS_LAMBDA_LOG_STREAM_NAME: instanceId,
        LAMBDA_TASK_ROOT: folder,
      },
      time: this.#settings.time,
      print: (chunk) => {
        this.#log(name).write(chunk);
        // Whoever stops the cloud knows why invocations end in the middle.
        if (!this.#stopping) seeFailures(chunk);
      },
    };
  }
}

/** Access keys derive from the function's ARN, so that the same template gives the same keys. */
function accessKey(functionArn: string): string {
  return `ASIA${createHash('sha256').update(functionArn).digest('hex').slice(0, 16).toUpperCase()}`;
}

function resultOf(outcome: Outcome): InvokeResult {
  if ('error' in outcome) return { payload: { ...outcome.error } as unknown as Json, functionError: 'Unhandled' };
  return { payload: JSON.parse(outcome.payload) as Json };
}
