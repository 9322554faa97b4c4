import { createHash, randomUUID } from 'node:crypto';
import { AwsError, type Cloud, type Json } from '../../cloud.ts';
import { type PreparedDefinition, TOKEN_PLACEHOLDER } from './definition.ts';
import type { ExecutionRecord, ExecutionStatus, TaskRecord } from './execution.ts';
import { TaskRunner, taskSpace } from './task-runner.ts';
import { Tokens } from './tokens.ts';

/** A state machine of the template. */
export interface Machine {
  readonly arn: string;
  readonly name: string;
  readonly roleArn: string;
  readonly prepared: PreparedDefinition;
}

/** How an execution ended. */
type End = Pick<ExecutionRecord, 'status' | 'output' | 'error' | 'cause'>;

/** The part of the library that is used; it loads an AWS SDK, so it is loaded when the first machine is made. */
type Library = typeof import('aws-local-stepfunctions');

const SPACE = 'states/execution';

/** Names of executions: 1 to 80 characters without brackets, wildcards, quotes and the like. */
const NAME = /^[^\s<>{}[\]?*"#%\\^|~`$&,;:/\p{Cc}]{1,80}$/u;

/** Standard workflows: executions, kept in the cloud's store and taken up again after a restart. */
export class Executions {
  readonly tokens: Tokens;
  readonly #cloud: Cloud;
  readonly #machines = new Map<string, Machine>();
  readonly #running = new Map<string, AbortController>();
  readonly #waiting = new Map<string, Set<(record: ExecutionRecord) => void>>();
  #library: Library | undefined;
  #started = false;
  #stopped = false;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
    this.tokens = new Tokens(cloud.store, cloud.clock);
  }

  /** Makes a machine known; its definition has been prepared. Throws when the library finds it invalid. */
  async putMachine(machine: Machine, original: Json): Promise<void> {
    this.#library ??= await import('aws-local-stepfunctions');
    // Checks the definition against the specification; what runs is the prepared one.
    new this.#library.StateMachine(original as never, { validationOptions: { checkArn: false } });
    this.#machines.set(machine.arn, machine);
  }

  /** AwsError `StateMachineDoesNotExist`. */
  machine(arn: string): Machine {
    const machine = this.#machines.get(arn);
    if (machine === undefined) throw new AwsError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${arn}'`);
    return machine;
  }

  /**
   * Starts an execution. While one of this name with the same input runs, it is that one; any other of this name is
   * AwsError `ExecutionAlreadyExists`.
   */
  start(machineArn: string, name: string = randomUUID(), input = '{}'): ExecutionRecord {
    const machine = this.machine(machineArn);
    if (!NAME.test(name)) throw new AwsError('InvalidName', `Invalid Name: '${name}'`);
    try {
      JSON.parse(input);
    } catch {
      throw new AwsError('InvalidExecutionInput', 'Invalid State Machine Execution Input: it is not JSON');
    }
    const arn = this.#cloud.arn('states', `execution:${machine.name}:${name}`);
    const there = this.#cloud.store.get<ExecutionRecord>(SPACE, arn);
    if (there !== undefined) {
      if (there.status === 'RUNNING' && there.input === input) return there;
      throw new AwsError('ExecutionAlreadyExists', `Execution Already Exists: '${arn}'`);
    }
    const record: ExecutionRecord = {
      arn,
      machineArn,
      name,
      input,
      startedAt: this.#cloud.clock.now(),
      status: 'RUNNING',
    };
    this.#cloud.store.put(SPACE, arn, record);
    if (this.#started) this.#run(record);
    return record;
  }

  /** AwsError `ExecutionDoesNotExist`. */
  get(arn: string): ExecutionRecord {
    const record = this.#cloud.store.get<ExecutionRecord>(SPACE, arn);
    if (record === undefined) throw new AwsError('ExecutionDoesNotExist', `Execution Does Not Exist: '${arn}'`);
    return record;
  }

  /** Executions of a machine, newest first. */
  list(machineArn: string, status: string | undefined): ExecutionRecord[] {
    const { name } = this.machine(machineArn);
    return this.#cloud.store
      .list<ExecutionRecord>(SPACE, this.#cloud.arn('states', `execution:${name}:`))
      .map(({ value }) => value)
      .filter((record) => status === undefined || record.status === status)
      .sort((a, b) => b.startedAt - a.startedAt);
  }

  isRunning(arn: string): boolean {
    return this.#cloud.store.get<ExecutionRecord>(SPACE, arn)?.status === 'RUNNING';
  }

  /** Stops a running execution; one that has ended stays as it is. */
  stop(arn: string, error?: string, cause?: string): ExecutionRecord {
    const record = this.get(arn);
    if (record.status !== 'RUNNING') return record;
    return this.#end(record, {
      status: 'ABORTED',
      ...(error === undefined ? {} : { error }),
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** Resolves when the execution has ended. */
  finished(arn: string): Promise<ExecutionRecord> {
    const record = this.get(arn);
    if (record.status !== 'RUNNING') return Promise.resolve(record);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(arn) ?? new Set();
      waiting.add(resolve);
      this.#waiting.set(arn, waiting);
    });
  }

  /** Begins to run, and goes on with the executions that were running when the local cloud ended. */
  begin(): void {
    this.#started = true;
    for (const { value } of this.#cloud.store.list<ExecutionRecord>(SPACE)) {
      if (value.status !== 'RUNNING') continue;
      if (this.#machines.has(value.machineArn)) this.#run(value);
      else
        this.#end(value, {
          status: 'ABORTED',
          error: 'StateMachineDeleted',
          cause: 'The template has no such state machine any more',
        });
    }
  }

  close(): void {
    this.#stopped = true;
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  #run(record: ExecutionRecord): void {
    if (this.#running.has(record.arn)) return;
    const controller = new AbortController();
    this.#running.set(record.arn, controller);
    void this.#execute(record, controller).then(
      (end) => {
        if (end !== undefined && !this.#stopped && this.isRunning(record.arn)) this.#end(record, end);
      },
      (error: unknown) =>
        this.#cloud.log.warn(`${record.arn}: ${error instanceof Error ? error.stack : String(error)}`),
    );
  }

  async #execute(record: ExecutionRecord, controller: AbortController): Promise<End | undefined> {
    const machine = this.machine(record.machineArn);
    const library = this.#library;
    if (library === undefined) throw new Error('No state machine has been made');
    const runner = new TaskRunner(this.#cloud, record, machine.roleArn, this.tokens, this, controller.signal);
    const handlers = Object.fromEntries(
      [...machine.prepared.plans].map(([name, plan]) => [name, (input: Json) => runner.run(name, plan, input)]),
    );
    const input = JSON.parse(record.input) as Json;
    const context = {
      Execution: { Id: record.arn, Name: record.name, RoleArn: machine.roleArn },
      StateMachine: { Id: machine.arn, Name: machine.name },
      Task: { Token: TOKEN_PLACEHOLDER },
      Wardline: { Input: input, StartTime: new Date(record.startedAt).toISOString() },
    };
    const run = new library.StateMachine(machine.prepared.definition as never, {
      validationOptions: { noValidate: true },
    }).run(input as never, {
      overrides: { taskResourceLocalHandlers: handlers as never },
      context: context as never,
    });
    const { timeoutSeconds } = machine.prepared;
    const cancel =
      timeoutSeconds === undefined
        ? () => undefined
        : this.#cloud.clock.at(record.startedAt + timeoutSeconds * 1000, () => {
            if (this.isRunning(record.arn)) this.#end(record, { status: 'TIMED_OUT' });
          });
    controller.signal.addEventListener('abort', () => run.abort(), { once: true });
    try {
      return { status: 'SUCCEEDED', output: JSON.stringify(await run.result) };
    } catch (error) {
      if (controller.signal.aborted) return undefined;
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return reason instanceof Error
        ? { status: 'FAILED', error: reason.name, cause: reason.message }
        : { status: 'FAILED', error: 'States.Runtime', cause: String(reason) };
    } finally {
      cancel();
    }
  }

  #end(record: ExecutionRecord, end: End): ExecutionRecord {
    const ended: ExecutionRecord = { ...record, ...end, stoppedAt: this.#cloud.clock.now() };
    this.#cloud.store.transaction(() => {
      this.#cloud.store.put(SPACE, record.arn, ended);
      for (const { key, value } of this.#cloud.store.list<TaskRecord>(taskSpace(record.arn))) {
        if (value.token !== undefined) this.tokens.end(value.token);
        this.#cloud.store.delete(taskSpace(record.arn), key);
      }
    });
    this.#running.get(record.arn)?.abort();
    this.#running.delete(record.arn);
    for (const resolve of this.#waiting.get(record.arn) ?? []) resolve(ended);
    this.#waiting.delete(record.arn);
    return ended;
  }
}

/** A revision id that follows from the definition. */
export const revisionOf = (definition: string): string =>
  createHash('sha256').update(definition).digest('hex').slice(0, 32);

/** Whether a status is one that an execution can have. */
export const isStatus = (text: string): text is ExecutionStatus =>
  ['RUNNING', 'SUCCEEDED', 'FAILED', 'TIMED_OUT', 'ABORTED'].includes(text);
