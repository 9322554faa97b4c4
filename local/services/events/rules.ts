import { randomUUID } from 'node:crypto';
import type { Cloud, Json } from '../../cloud.ts';
import type { Fields, JsonObject } from '../fields.ts';
import { nameOfArn, serviceOfArn } from '../identifiers.ts';
import type { Matcher } from '../patterns/pattern.ts';
import type { Schedule } from '../schedules/expression.ts';
import { deliverWithRetries } from '../schedules/invoker.ts';
import { targetInput } from './transform.ts';

/** A rule of the template. */
export interface Rule {
  readonly name: string;
  readonly arn: string;
  readonly bus: string;
  readonly enabled: boolean;
  readonly matches?: Matcher;
  readonly schedule?: Schedule;
  readonly targets: readonly Fields[];
}

const RETRIES = 185;
const DAY_SECONDS = 86_400;
/** When a scheduled rule was last due, ms since the epoch. */
const SPACE = 'events/schedule';

/** EventBridge: buses, and rules that send events to targets. */
export class Rules {
  readonly #cloud: Cloud;
  readonly #rules = new Map<string, Rule>();
  readonly #buses = new Set(['default']);
  readonly #timers = new Map<string, () => void>();
  readonly #abort = new AbortController();
  readonly #deliveries = new Set<Promise<void>>();

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  putBus(name: string): void {
    this.#buses.add(name);
  }

  hasBus(nameOrArn: string): boolean {
    return this.#buses.has(nameOfArn(nameOrArn));
  }

  putRule(rule: Rule): void {
    if (!this.#buses.has(rule.bus)) throw new Error(`The event bus ${rule.bus} of rule ${rule.name} does not exist`);
    this.#rules.set(rule.arn, rule);
  }

  /** Puts an event on a bus; its targets get it after that. Returns the event's id. */
  put(
    bus: string,
    event: {
      readonly source: string;
      readonly detailType: string;
      readonly detail: Json;
      readonly resources: readonly string[];
      readonly time: number;
    },
  ): string {
    const id = randomUUID();
    const full: JsonObject = {
      version: '0',
      id,
      'detail-type': event.detailType,
      source: event.source,
      account: this.#cloud.account,
      time: new Date(event.time).toISOString().replace(/\.\d{3}Z$/, 'Z'),
      region: this.#cloud.region,
      resources: [...event.resources],
      detail: event.detail,
    };
    for (const rule of this.#rules.values()) {
      if (rule.bus === nameOfArn(bus) && rule.enabled && rule.matches?.(full) === true) this.#toTargets(rule, full);
    }
    return id;
  }

  start(): void {
    for (const rule of this.#rules.values()) this.#arm(rule);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const cancel of this.#timers.values()) cancel();
    await Promise.allSettled(this.#deliveries);
  }

  #arm(rule: Rule): void {
    const { schedule } = rule;
    if (schedule === undefined || !rule.enabled || this.#abort.signal.aborted) return;
    const now = this.#cloud.clock.now();
    const last = this.#cloud.store.get<number>(SPACE, rule.arn);
    if (last === undefined) this.#cloud.store.put(SPACE, rule.arn, now);
    const due = schedule.next(last ?? now, last ?? now);
    if (due === undefined) return;
    this.#timers.set(
      rule.arn,
      this.#cloud.clock.at(due, () => {
        this.#cloud.store.put(
          SPACE,
          rule.arn,
          schedule.kind === 'rate' ? Math.max(due, this.#cloud.clock.now()) : this.#cloud.clock.now(),
        );
        this.#toTargets(rule, {
          version: '0',
          id: randomUUID(),
          'detail-type': 'Scheduled Event',
          source: 'aws.events',
          account: this.#cloud.account,
          time: new Date(due).toISOString().replace(/\.\d{3}Z$/, 'Z'),
          region: this.#cloud.region,
          resources: [rule.arn],
          detail: {},
        });
        this.#arm(rule);
      }),
    );
  }

  #toTargets(rule: Rule, event: JsonObject): void {
    for (const target of rule.targets) {
      const delivery = this.#deliver(rule, target, event)
        .catch((error: unknown) => {
          if (!this.#abort.signal.aborted)
            this.#cloud.log.warn(`Rule ${rule.name}: ${error instanceof Error ? error.message : String(error)}`);
        })
        .finally(() => this.#deliveries.delete(delivery));
      this.#deliveries.add(delivery);
    }
  }

  async #deliver(rule: Rule, target: Fields, event: JsonObject): Promise<void> {
    const targetArn = target.text('Arn');
    const policy = target.optionalObject('RetryPolicy');
    const group = target.optionalObject('SqsParameters')?.optionalText('MessageGroupId');
    if (serviceOfArn(targetArn) === 'lambda') this.#cloud.authorizeInvoke(targetArn, 'events.amazonaws.com', rule.arn);
    await deliverWithRetries(
      this.#cloud,
      {
        targetArn,
        roleArn: target.optionalText('RoleArn'),
        input: targetInput(target, event, rule.arn, this.#cloud.clock.now()),
        attributes: group === undefined ? {} : { MessageGroupId: group },
        maximumRetries: policy?.optionalNumber('MaximumRetryAttempts') ?? RETRIES,
        maximumAge: policy?.optionalNumber('MaximumEventAgeInSeconds') ?? DAY_SECONDS,
        deadLetterArn: target.optionalObject('DeadLetterConfig')?.optionalText('Arn'),
      },
      this.#abort.signal,
    );
  }
}
