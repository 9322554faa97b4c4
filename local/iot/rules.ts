import { randomUUID } from 'node:crypto';
import type { Cloud, Json } from '../cloud.ts';
import { ACTION_NAMES, type Action, type Rule, type TemplatePart } from './rule.ts';
import { evaluate, MessageContext, type Selection, select } from './sql/evaluate.ts';
import type { RuleMessage } from './sql/functions.ts';
import { basicIngest, topicMatches, topicProblem } from './topics.ts';

/** A message that reaches the rules engine, with its topic as it was published. */
export interface IncomingMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** The MQTT client that published; undefined for the HTTP API and for what AWS itself publishes. */
  readonly clientId?: string;
  /** Certificate id, or the caller of the HTTP API. */
  readonly principal?: string;
}

/**
 * The rules engine: hands each message to the rules whose FROM it matches (or to the one that a Basic Ingest topic
 * names) and carries their actions out. Nothing that goes wrong here reaches the publisher, as in AWS; it goes to the
 * rule's error action, or to the log when there is none.
 */
export class Rules {
  readonly #cloud: Cloud;
  readonly #republish: (topic: string, payload: Buffer, qos: 0 | 1) => void;
  readonly #rules = new Map<string, Rule>();

  constructor(cloud: Cloud, republish: (topic: string, payload: Buffer, qos: 0 | 1) => void) {
    this.#cloud = cloud;
    this.#republish = republish;
  }

  add(rule: Rule): void {
    this.#rules.set(rule.name, rule);
  }

  /** Resolves when all actions of all rules were carried out or handed to their error action; never rejects. */
  async handle(incoming: IncomingMessage): Promise<void> {
    const ingest = basicIngest(incoming.topic);
    const message: RuleMessage = {
      topic: ingest?.topic ?? incoming.topic,
      payload: incoming.payload,
      clientId: incoming.clientId ?? 'n/a',
      principal: incoming.principal,
      receivedAt: Math.floor(this.#cloud.clock.now()),
      traceId: randomUUID(),
    };
    const context = new MessageContext(message);
    const runs: Promise<void>[] = [];
    for (const rule of this.#matching(incoming.topic, ingest?.rule)) {
      const selection = this.#select(rule, context);
      if (selection === undefined) continue;
      for (const action of rule.actions) runs.push(this.#run(rule, action, selection, context));
    }
    await Promise.all(runs);
  }

  #select(rule: Rule, context: MessageContext): Selection | undefined {
    try {
      return select(rule.statement, context);
    } catch (error) {
      // JSON that is nested deeper than the stack: a device may send anything.
      this.#cloud.log.warn(`Topic rule ${rule.name}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  *#matching(topic: string, ingested: string | undefined): Generator<Rule> {
    if (ingested !== undefined) {
      const rule = this.#rules.get(ingested);
      if (rule === undefined) this.#cloud.log.warn(`Basic Ingest: there is no topic rule ${ingested}`);
      else if (!rule.disabled) yield rule;
      return;
    }
    for (const rule of this.#rules.values()) {
      if (!rule.disabled && rule.statement.from !== undefined && topicMatches(rule.statement.from, topic)) yield rule;
    }
  }

  async #run(rule: Rule, action: Action, selection: Selection, context: MessageContext): Promise<void> {
    try {
      await this.#carryOut(rule, action, selection, context);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (rule.errorAction === undefined) {
        this.#cloud.log.warn(`Topic rule ${rule.name}: ${ACTION_NAMES[action.kind]} failed: ${reason}`);
        return;
      }
      const failure = failureMessage(rule, action, reason, context.message);
      try {
        await this.#carryOut(rule, rule.errorAction, { kind: 'json', value: failure }, context);
      } catch (second) {
        const why = second instanceof Error ? second.message : String(second);
        this.#cloud.log.warn(
          `Topic rule ${rule.name}: ${ACTION_NAMES[action.kind]} failed: ${reason}; its error action failed too: ${why}`,
        );
      }
    }
  }

  async #carryOut(rule: Rule, action: Action, selection: Selection, context: MessageContext): Promise<void> {
    const cloud = this.#cloud;
    switch (action.kind) {
      case 'lambda': {
        cloud.authorizeInvoke(action.functionArn, 'iot.amazonaws.com', rule.arn);
        if (selection.kind === 'raw') throw new Error('The payload is not JSON and cannot be the input of a function');
        cloud.functions.invokeAsync(action.functionArn, selection.value);
        return;
      }
      case 'sqs': {
        const queueArn = arnOfQueue(cloud, action.queueUrl);
        cloud.authorize({ roleArn: action.roleArn }, { action: 'sqs:SendMessage', resource: queueArn });
        const body = bytesOf(selection);
        await cloud.deliver(queueArn, action.useBase64 ? body.toString('base64') : body.toString('utf8'));
        return;
      }
      case 'sns': {
        cloud.authorize({ roleArn: action.roleArn }, { action: 'sns:Publish', resource: action.targetArn });
        const body = bytesOf(selection).toString('utf8');
        await cloud.deliver(action.targetArn, action.format === 'RAW' ? body : JSON.stringify({ default: body }), {
          attributes: action.format === 'RAW' ? {} : { MessageStructure: 'json' },
        });
        return;
      }
      case 'republish': {
        const topic = fill(action.topic, context);
        const problem = topicProblem(topic);
        if (problem !== undefined) throw new Error(problem);
        cloud.authorize(
          { roleArn: action.roleArn },
          { action: 'iot:Publish', resource: cloud.arn('iot', `topic/${topic}`) },
        );
        this.#republish(topic, bytesOf(selection), action.qos);
      }
    }
  }
}

function failureMessage(rule: Rule, action: Action, reason: string, message: RuleMessage): Json {
  return {
    ruleName: rule.name,
    topic: message.topic,
    cloudwatchTraceId: message.traceId,
    clientId: message.clientId,
    base64OriginalPayload: message.payload.toString('base64'),
    failures: [{ failedAction: ACTION_NAMES[action.kind], failedResource: resourceOf(action), errorMessage: reason }],
  };
}

function resourceOf(action: Action): string {
  switch (action.kind) {
    case 'lambda':
      return action.functionArn;
    case 'sqs':
      return action.queueUrl;
    case 'sns':
      return action.targetArn;
    case 'republish':
      return action.topic.filter((part) => typeof part === 'string').join('');
  }
}

function bytesOf(selection: Selection): Buffer {
  return selection.kind === 'raw' ? selection.value : Buffer.from(JSON.stringify(selection.value));
}

function fill(template: readonly TemplatePart[], context: MessageContext): string {
  return template
    .map((part) => {
      if (typeof part === 'string') return part;
      const value = evaluate(part, context);
      // As AWS writes a value that is not there.
      if (value === undefined) return 'Undefined';
      return typeof value === 'string' ? value : JSON.stringify(value);
    })
    .join('');
}

/** Queue URLs end in `/<account>/<name>`. */
function arnOfQueue(cloud: Cloud, queueUrl: string): string {
  return cloud.arn('sqs', queueUrl.slice(queueUrl.lastIndexOf('/') + 1));
}
