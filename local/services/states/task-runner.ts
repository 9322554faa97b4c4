import { createHash } from 'node:crypto';
import type { Cloud, Json } from '../../cloud.ts';
import { isObject } from '../fields.ts';
import { sleep } from '../sleep.ts';
import { type Retrier, type TaskPlan, TOKEN_PLACEHOLDER } from './definition.ts';
import type { ExecutionRecord, Outcome, TaskRecord } from './execution.ts';
import { callService, type Integration, integrationOf } from './integrations.ts';
import { TaskAborted, TaskError } from './task-error.ts';
import type { Tokens } from './tokens.ts';

/** Starts child executions and waits for them. */
export interface Children {
  start(machineArn: string, name: string, input: string): ExecutionRecord;
  finished(executionArn: string): Promise<ExecutionRecord>;
  stop(executionArn: string): void;
  isRunning(executionArn: string): boolean;
}

/** The space of the store with the tasks of a running execution. */
export const taskSpace = (executionArn: string): string => `states/task/${executionArn}`;

const replaceToken = (value: Json, token: string): Json => {
  if (typeof value === 'string') return value.replaceAll(TOKEN_PLACEHOLDER, token);
  if (Array.isArray(value)) return value.map((one) => replaceToken(one, token));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, replaceToken(one, token)]));
};

const matches = (retrier: Retrier, error: string): boolean =>
  retrier.errors.some(
    (name) => name === error || name === 'States.ALL' || (name === 'States.TaskFailed' && error !== 'States.Timeout'),
  );

/**
 * Carries out the tasks and waits of one execution. Each has a record in the store: after a restart the execution runs
 * from its beginning, what has ended gives its recorded outcome at once, and what was going on goes on.
 */
export class TaskRunner {
  readonly #cloud: Cloud;
  readonly #execution: ExecutionRecord;
  readonly #roleArn: string;
  readonly #tokens: Tokens;
  readonly #children: Children;
  readonly #signal: AbortSignal;
  readonly #occurrences = new Map<string, number>();

  constructor(
    cloud: Cloud,
    execution: ExecutionRecord,
    roleArn: string,
    tokens: Tokens,
    children: Children,
    signal: AbortSignal,
  ) {
    this.#cloud = cloud;
    this.#execution = execution;
    this.#roleArn = roleArn;
    this.#tokens = tokens;
    this.#children = children;
    this.#signal = signal;
  }

  /** Runs the state `name` with its processed input. Throws TaskError, or TaskAborted when the execution is stopped. */
  async run(name: string, plan: TaskPlan, input: Json): Promise<Json> {
    const key = this.#key(name, input);
    const record = this.#record(key);
    const outcome =
      record.outcome ??
      (plan.kind === 'wait' ? await this.#wait(key, record, input) : await this.#task(key, plan, input));
    if (this.#signal.aborted) throw new TaskAborted();
    if (record.outcome === undefined) this.#save(key, { ...this.#record(key), outcome });
    if ('value' in outcome) return outcome.value;
    const catchable = outcome.error !== 'States.Timeout' || plan.kind === 'wait' || plan.catchesTimeout;
    throw new TaskError(outcome.error, outcome.cause, catchable);
  }

  /** The same state with the same input is the same task again; iterations of a Map with equal inputs may stand for each other. */
  #key(name: string, input: Json): string {
    const visit = `${name}/${createHash('sha256').update(JSON.stringify(input)).digest('hex').slice(0, 32)}`;
    const occurrence = this.#occurrences.get(visit) ?? 0;
    this.#occurrences.set(visit, occurrence + 1);
    return `${visit}/${occurrence}`;
  }

  #record(key: string): TaskRecord {
    return (
      this.#cloud.store.get<TaskRecord>(taskSpace(this.#execution.arn), key) ?? {
        startedAt: this.#cloud.clock.now(),
        attempts: [],
      }
    );
  }

  #save(key: string, record: TaskRecord): void {
    this.#cloud.store.put(taskSpace(this.#execution.arn), key, record);
  }

  async #sleepUntil(until: number): Promise<void> {
    await sleep(this.#cloud.clock, Math.max(0, until - this.#cloud.clock.now()), this.#signal);
    if (this.#signal.aborted) throw new TaskAborted();
  }

  async #wait(key: string, record: TaskRecord, input: Json): Promise<Outcome> {
    const { Seconds: seconds, Timestamp: timestamp } = isObject(input) ? input : {};
    const until =
      record.until ??
      (timestamp === undefined ? record.startedAt + Number(seconds) * 1000 : Date.parse(String(timestamp)));
    if (Number.isNaN(until))
      return { error: 'States.Runtime', cause: `${JSON.stringify(input)} is not a time to wait` };
    this.#save(key, { ...record, until });
    await this.#sleepUntil(until);
    return { value: null };
  }

  async #task(key: string, plan: Extract<TaskPlan, { kind: 'task' }>, input: Json): Promise<Outcome> {
    for (;;) {
      const { until } = this.#record(key);
      if (until !== undefined) await this.#sleepUntil(until);
      const outcome = await this.#attempt(key, plan, input);
      if ('value' in outcome) return outcome;
      const { attempts } = this.#record(key);
      const index = plan.retriers.findIndex((retrier) => matches(retrier, outcome.error));
      const retrier = plan.retriers[index];
      const done = attempts[index] ?? 0;
      if (retrier === undefined || done >= retrier.maximumAttempts) return outcome;
      const pause = Math.min(retrier.interval * retrier.backoffRate ** done, retrier.maximumDelay);
      const counted = plan.retriers.map((_, each) => (attempts[each] ?? 0) + (each === index ? 1 : 0));
      const resumeAt = this.#cloud.clock.now() + pause * 1000;
      this.#save(key, { startedAt: resumeAt, attempts: counted, until: resumeAt });
    }
  }

  async #attempt(key: string, plan: Extract<TaskPlan, { kind: 'task' }>, input: Json): Promise<Outcome> {
    const record = this.#record(key);
    this.#save(key, record);
    const integration = integrationOf(plan.resource);
    if (integration === undefined) return { error: 'States.Runtime', cause: `${plan.resource} is not emulated` };
    const ended = new AbortController();
    const contenders = [this.#outcome(key, record, integration, input, ended.signal), this.#aborted(ended.signal)];
    if (plan.timeoutSeconds !== undefined)
      contenders.push(this.#timeout(record.startedAt + plan.timeoutSeconds * 1000, ended.signal));
    if (plan.heartbeatSeconds !== undefined && integration.waitFor === 'token') {
      contenders.push(this.#silence(key, plan.heartbeatSeconds * 1000, ended.signal));
    }
    try {
      return await Promise.race(contenders);
    } finally {
      ended.abort();
      const { token } = this.#record(key);
      if (token !== undefined && !this.#signal.aborted) this.#tokens.end(token);
    }
  }

  async #outcome(
    key: string,
    record: TaskRecord,
    integration: Integration,
    input: Json,
    ended: AbortSignal,
  ): Promise<Outcome> {
    try {
      if (integration.waitFor === 'token') return await this.#withToken(key, record, integration, input);
      return { value: await this.#call(key, record, integration, input, ended) };
    } catch (error) {
      if (error instanceof TaskError) return { error: error.name, cause: error.message };
      throw error;
    }
  }

  async #withToken(key: string, record: TaskRecord, integration: Integration, input: Json): Promise<Outcome> {
    const token = record.token ?? this.#tokens.create(this.#execution.arn, key);
    if (record.called !== true) {
      this.#save(key, { ...record, token });
      await this.#call(key, record, integration, replaceToken(input, token), this.#signal);
      this.#save(key, { ...this.#record(key), token, called: true });
    }
    return await this.#tokens.outcome(token);
  }

  async #call(
    key: string,
    record: TaskRecord,
    integration: Integration,
    input: Json,
    ended: AbortSignal,
  ): Promise<Json> {
    const principal = { roleArn: this.#roleArn };
    if (integration.service !== 'states') return await callService(this.#cloud, principal, integration, input);
    return await this.#startChild(key, record, integration, input, ended);
  }

  async #startChild(
    key: string,
    record: TaskRecord,
    integration: Integration,
    input: Json,
    ended: AbortSignal,
  ): Promise<Json> {
    const parameters = isObject(input) ? input : {};
    const machineArn = String(parameters['StateMachineArn'] ?? '');
    // The same attempt of the same task gives the same name, so that a restart does not start the child twice.
    const attempt = record.attempts.reduce((sum, count) => sum + count, 0);
    const derived = createHash('sha256').update(`${this.#execution.arn} ${key} ${attempt}`).digest('hex').slice(0, 32);
    const name = typeof parameters['Name'] === 'string' ? parameters['Name'] : derived;
    let child: ExecutionRecord;
    try {
      this.#cloud.authorize({ roleArn: this.#roleArn }, { action: 'states:StartExecution', resource: machineArn });
      const childInput = parameters['Input'] ?? {};
      child = this.#children.start(
        machineArn,
        name,
        typeof childInput === 'string' ? childInput : JSON.stringify(childInput),
      );
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'StepFunctionsException';
      throw new TaskError(`StepFunctions.${code}`, error instanceof Error ? error.message : String(error));
    }
    if (integration.waitFor !== 'execution') return { ExecutionArn: child.arn, StartDate: child.startedAt / 1000 };
    const stopChild = () => {
      // Stopped with its parent or its parent's task, but not when the local cloud ends.
      if (!this.#signal.aborted || !this.#children.isRunning(this.#execution.arn)) this.#children.stop(child.arn);
    };
    ended.addEventListener('abort', stopChild, { once: true });
    const finished = await this.#children.finished(child.arn);
    ended.removeEventListener('abort', stopChild);
    const described = {
      ExecutionArn: finished.arn,
      Input: JSON.parse(finished.input) as Json,
      Name: finished.name,
      StartDate: finished.startedAt,
      StateMachineArn: finished.machineArn,
      Status: finished.status,
      StopDate: finished.stoppedAt ?? finished.startedAt,
    };
    if (finished.status === 'SUCCEEDED') return { ...described, Output: JSON.parse(finished.output ?? 'null') as Json };
    throw new TaskError(
      'States.TaskFailed',
      JSON.stringify({ ...described, Error: finished.error ?? null, Cause: finished.cause ?? null }),
    );
  }

  #aborted(ended: AbortSignal): Promise<Outcome> {
    return new Promise((_, reject) => {
      const abort = () => reject(new TaskAborted());
      if (this.#signal.aborted) abort();
      this.#signal.addEventListener('abort', abort, { once: true });
      ended.addEventListener('abort', () => this.#signal.removeEventListener('abort', abort), { once: true });
    });
  }

  async #timeout(at: number, ended: AbortSignal): Promise<Outcome> {
    await sleep(this.#cloud.clock, Math.max(0, at - this.#cloud.clock.now()), ended);
    return { error: 'States.Timeout', cause: '' };
  }

  /** Ends when the token has not been heard of for `limit` ms. */
  async #silence(key: string, limit: number, ended: AbortSignal): Promise<Outcome> {
    while (!ended.aborted) {
      const { token, startedAt } = this.#record(key);
      const until = Math.max(startedAt, token === undefined ? 0 : this.#tokens.heartbeatAt(token)) + limit;
      if (until <= this.#cloud.clock.now()) break;
      await sleep(this.#cloud.clock, until - this.#cloud.clock.now(), ended);
    }
    return { error: 'States.HeartbeatTimeout', cause: '' };
  }
}
