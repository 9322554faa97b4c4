import { randomUUID } from 'node:crypto';
import { AwsError, type Cloud } from '../../cloud.ts';
import { Fields } from '../fields.ts';
import { deliverWithRetries } from '../schedules/invoker.ts';
import { type ScheduleDefinition, scheduleOf } from './definition.ts';

/** A schedule in the store. Times are ms since the epoch. */
export interface StoredSchedule {
  readonly definition: ScheduleDefinition;
  readonly createdAt: number;
  readonly changedAt: number;
  /** When it is due next; undefined: never again. */
  readonly due?: number;
}

const SPACE = 'scheduler/schedule';
const GROUPS = 'scheduler/group';
const DAY_SECONDS = 86_400;
const RETRIES = 185;

const keyOf = (group: string, name: string): string => `${group}/${name}`;

/** EventBridge Scheduler: schedules, kept in the cloud's store, each delivered at least once when it is due. */
export class Schedules {
  readonly #cloud: Cloud;
  readonly #timers = new Map<string, () => void>();
  readonly #abort = new AbortController();
  /** Schedules whose delivery is going on; they are armed again at its end. */
  readonly #firing = new Set<string>();
  #started = false;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
    this.putGroup('default');
  }

  arn(group: string, name: string): string {
    return this.#cloud.arn('scheduler', `schedule/${group}/${name}`);
  }

  putGroup(name: string): void {
    this.#cloud.store.put(GROUPS, name, true);
  }

  /** AwsError `ResourceNotFoundException` (404). */
  get(group: string, name: string): StoredSchedule {
    const found = this.#cloud.store.get<StoredSchedule>(SPACE, keyOf(group, name));
    if (found === undefined) throw new AwsError('ResourceNotFoundException', `Schedule ${name} does not exist.`, 404);
    return found;
  }

  /** AwsError `ConflictException` (409) when there is one of this name; the same client token gives the first one. */
  create(definition: ScheduleDefinition): void {
    const key = keyOf(definition.group, definition.name);
    const there = this.#cloud.store.get<StoredSchedule>(SPACE, key);
    if (there !== undefined) {
      if (definition.clientToken !== undefined && definition.clientToken === there.definition.clientToken) return;
      throw new AwsError('ConflictException', `Schedule ${definition.name} already exists.`, 409);
    }
    this.put(definition);
  }

  /** Creates or replaces; a replaced schedule with the same expression keeps its place in time. */
  put(definition: ScheduleDefinition): void {
    if (this.#cloud.store.get(GROUPS, definition.group) === undefined) {
      throw new AwsError('ResourceNotFoundException', `Schedule group ${definition.group} does not exist.`, 404);
    }
    const key = keyOf(definition.group, definition.name);
    const there = this.#cloud.store.get<StoredSchedule>(SPACE, key);
    const now = this.#cloud.clock.now();
    const same = there !== undefined && JSON.stringify(there.definition) === JSON.stringify(definition);
    const createdAt = there?.createdAt ?? now;
    const due = same ? there.due : this.#next(definition, now, createdAt);
    const stored: StoredSchedule = { definition, createdAt, changedAt: now, ...(due === undefined ? {} : { due }) };
    this.#cloud.store.put(SPACE, key, stored);
    this.#arm(key, stored);
  }

  /** AwsError `ResourceNotFoundException` (404). */
  delete(group: string, name: string): void {
    this.get(group, name);
    this.#remove(keyOf(group, name));
  }

  /** Begins to deliver. What was due while nothing ran, or the clock left out, is due at once, and once: a rate of minutes does not make up for a weekend. */
  start(): void {
    this.#started = true;
    for (const { key, value } of this.#cloud.store.list<StoredSchedule>(SPACE)) {
      const due = this.#lastMissed(value);
      const stored: StoredSchedule = due === undefined ? value : { ...value, due };
      if (due !== value.due) this.#cloud.store.put(SPACE, key, stored);
      this.#arm(key, stored);
    }
  }

  stop(): void {
    this.#abort.abort();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
  }

  #next(definition: ScheduleDefinition, after: number, createdAt: number): number | undefined {
    const start = definition.start ?? createdAt;
    const due = scheduleOf(definition).next(Math.max(after, start - 1), start);
    return due === undefined || (definition.end !== undefined && due > definition.end) ? undefined : due;
  }

  /** The last of the due times that have passed; the next one when none has. */
  #lastMissed({ definition, due, createdAt }: StoredSchedule): number | undefined {
    const now = this.#cloud.clock.now();
    let last = due;
    while (last !== undefined && last < now) {
      const next = this.#next(definition, last, createdAt);
      if (next === undefined || next > now) break;
      last = next;
    }
    return last;
  }

  #remove(key: string): void {
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    this.#cloud.store.delete(SPACE, key);
  }

  #arm(key: string, { definition, due }: StoredSchedule): void {
    this.#timers.get(key)?.();
    this.#timers.delete(key);
    if (!this.#started || !definition.enabled || due === undefined || this.#firing.has(key)) return;
    this.#timers.set(
      key,
      this.#cloud.clock.at(due, () => {
        this.#timers.delete(key);
        void this.#fire(key, due);
      }),
    );
  }

  async #fire(key: string, armed: number): Promise<void> {
    const stored = this.#cloud.store.get<StoredSchedule>(SPACE, key);
    if (stored === undefined || stored.due !== armed) return;
    // The clock may have gone on by hours in one step: what was due in them is due once.
    const due = this.#lastMissed(stored) ?? armed;
    if (due !== armed) this.#cloud.store.put(SPACE, key, { ...stored, due } satisfies StoredSchedule);
    this.#firing.add(key);
    try {
      await this.#deliver(stored.definition, due);
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#cloud.log.warn(
          `Schedule ${stored.definition.name}: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    } finally {
      this.#firing.delete(key);
    }
    if (!this.#abort.signal.aborted) this.#delivered(key, due);
  }

  /** Plans the next delivery, or the one that the schedule has been changed to meanwhile. */
  #delivered(key: string, due: number): void {
    const now = this.#cloud.store.get<StoredSchedule>(SPACE, key);
    if (now === undefined) return;
    if (now.due !== due) {
      this.#arm(key, now);
      return;
    }
    const next = this.#next(now.definition, due, now.createdAt);
    if (next === undefined && now.definition.deleteWhenDone) {
      this.#remove(key);
      return;
    }
    const { due: _done, ...rest } = now;
    const changed: StoredSchedule = { ...rest, ...(next === undefined ? {} : { due: next }) };
    this.#cloud.store.put(SPACE, key, changed);
    this.#arm(key, changed);
  }

  async #deliver(definition: ScheduleDefinition, due: number): Promise<void> {
    const target = new Fields(definition.target, 'Target');
    const policy = target.optionalObject('RetryPolicy');
    const events = target.optionalObject('EventBridgeParameters');
    const group = target.optionalObject('SqsParameters')?.optionalText('MessageGroupId');
    const input = (target.optionalText('Input') ?? '{}')
      .replaceAll('<aws.scheduler.schedule-arn>', this.arn(definition.group, definition.name))
      .replaceAll('<aws.scheduler.scheduled-time>', new Date(due).toISOString().replace(/\.\d{3}Z$/, 'Z'))
      .replaceAll('<aws.scheduler.execution-id>', randomUUID());
    await deliverWithRetries(
      this.#cloud,
      {
        targetArn: target.text('Arn'),
        roleArn: target.text('RoleArn'),
        input:
          events === undefined
            ? input
            : JSON.stringify({
                source: events.text('Source'),
                'detail-type': events.text('DetailType'),
                detail: JSON.parse(input),
              }),
        attributes: group === undefined ? {} : { MessageGroupId: group },
        maximumRetries: policy?.optionalNumber('MaximumRetryAttempts') ?? RETRIES,
        maximumAge: policy?.optionalNumber('MaximumEventAgeInSeconds') ?? DAY_SECONDS,
        deadLetterArn: target.optionalObject('DeadLetterConfig')?.optionalText('Arn'),
      },
      this.#abort.signal,
    );
  }
}
