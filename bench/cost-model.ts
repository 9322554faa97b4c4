import { prices, tiered } from './prices.ts';

/** What a kind of device does in a month of 30 days. */
export interface Usage {
  readonly name: string;
  readonly channel: 'mqtt' | 'https';
  readonly checkIns: number;
  /** Times that it connects (MQTT). */
  readonly connects: number;
  /** Commands that are queued, delivered, acknowledged and verified. */
  readonly commands: number;
  /** Times that its clinical state changes. Each is one of the check-ins. */
  readonly clinicalChanges: number;
  /** Times that its posture changes. Each is one of the check-ins. */
  readonly postureChanges: number;
}

/** What was measured of one step: units of DynamoDB and bytes on the wire. */
export interface Measured {
  readonly readUnits: number;
  readonly writeUnits: number;
}

/** All steps that are measured, and the length of a reply. */
export interface Measurements {
  /** A check-in that brings nothing new, within the hour of the last one. */
  readonly quiet: Measured;
  /** A check-in that brings nothing new, an hour or more after the last one: with the heartbeat. */
  readonly heartbeat: Measured;
  readonly clinicalChange: Measured;
  readonly postureChange: Measured;
  /** Queue, note the wake-up, deliver, acknowledge and verify, with the two check-ins that this takes, and the look whether the wake-up arrived. */
  readonly command: Measured;
  /** Connect and disconnect. */
  readonly presence: Measured;
  readonly replyBytes: number;
}

/** What is not measured but assumed; each with its reason in docs/cost.md. */
export const assumptions = {
  minutes: 30 * 24 * 60,
  lambdaGigabytes: 0.25,
  /** Billed duration of one invocation. */
  lambdaSeconds: 0.025,
  /** Requests that are traced: X-Ray's default rule. */
  tracedShare: 0.05,
  /** One line of the access log of the device API. */
  accessLogBytes: 300,
  /** Presence events that one invocation and one receive request of the queue carry. */
  presenceBatch: 5,
} as const;

/** One line of the bill, in dollars per device and month. */
export interface CostLine {
  readonly what: string;
  readonly dollars: number;
}

/** The bill of one device when `devices` of them share the account. */
export function costOf(usage: Usage, measured: Measurements, devices: number): CostLine[] {
  const { iot, lambda, dynamoDb, sqs, xray, logs } = prices;
  const commandCheckIns = 2 * usage.commands;
  const changes = usage.clinicalChanges + usage.postureChanges;
  const plain = usage.checkIns - commandCheckIns - changes;
  // Every hour with a check-in has one heartbeat; a check-in that writes anyway brings it with it.
  const heartbeats = Math.min(plain, 30 * 24);
  const steps: readonly (readonly [Measured, number])[] = [
    [measured.heartbeat, heartbeats],
    [measured.quiet, plain - heartbeats],
    [measured.clinicalChange, usage.clinicalChanges],
    [measured.postureChange, usage.postureChanges],
    [measured.command, usage.commands],
    [measured.presence, usage.connects],
  ];
  const sum = (unit: keyof Measured) => steps.reduce((total, [step, times]) => total + step[unit] * times, 0);
  const invocation =
    lambda.request + assumptions.lambdaSeconds * assumptions.lambdaGigabytes * lambda.gigabyteSecondArm;
  const presenceEvents = 2 * usage.connects;
  const pushes = usage.channel === 'mqtt' ? usage.commands : 0;
  // Each wake-up is looked after once: a message sent, received and deleted, and an invocation.
  const looks = pushes;
  const invocations = usage.checkIns + usage.commands + looks + presenceEvents / assumptions.presenceBatch;
  const perMillion = (count: number, price: number) => (count * price) / 1e6;
  const shared: CostLine[] = [
    { what: 'DynamoDB writes', dollars: perMillion(sum('writeUnits'), dynamoDb.writeUnit) },
    { what: 'DynamoDB reads', dollars: perMillion(sum('readUnits'), dynamoDb.readUnit) },
    { what: 'Lambda', dollars: perMillion(invocations, invocation) },
    { what: 'X-Ray', dollars: perMillion(invocations * assumptions.tracedShare, xray.trace) },
  ];
  if (usage.channel === 'https') {
    return [
      { what: 'HTTP API', dollars: tiered(prices.httpApi, usage.checkIns * devices) / devices },
      { what: 'Access log', dollars: (usage.checkIns * assumptions.accessLogBytes * logs.perGigabyte) / 1e9 },
      ...shared,
    ];
  }
  // A reply is published (one message) and delivered (another one), at QoS 0; a connect is CONNECT and SUBSCRIBE.
  const reply = 2 * Math.ceil(measured.replyBytes / iot.messageBytes);
  const messages = usage.checkIns * reply + usage.connects * 2 + pushes * 2;
  const ruleRuns = usage.checkIns + presenceEvents;
  return [
    { what: 'IoT connection', dollars: perMillion(assumptions.minutes, iot.connectionMinute) },
    { what: 'IoT messages', dollars: tiered(iot.messages, messages * devices) / devices },
    { what: 'IoT rules', dollars: perMillion(ruleRuns, iot.ruleTrigger + iot.ruleAction) },
    {
      what: 'SQS (presence, wake-ups)',
      dollars: perMillion(presenceEvents * (1 + 2 / assumptions.presenceBatch) + looks * 3, sqs.request),
    },
    ...shared,
  ];
}

/** Sum of a bill, dollars per device and month. */
export const total = (lines: readonly CostLine[]): number => lines.reduce((sum, { dollars }) => sum + dollars, 0);

/** The two kinds of device that the goals speak of, and what each may cost per month. */
export const profiles: readonly (Usage & { readonly goal: number })[] = [
  {
    name: 'Connected IoMT device (MQTT)',
    channel: 'mqtt',
    // One when it connects, one by the interval twelve hours later, the rest with its changes and commands.
    checkIns: 30 + 30 + 4 + 8,
    connects: 30,
    commands: 4,
    clinicalChanges: 0,
    postureChanges: 4,
    goal: 0.004,
  },
  {
    name: 'Device that polls every 15 minutes (HTTPS)',
    channel: 'https',
    checkIns: 30 * 96,
    connects: 0,
    commands: 4,
    clinicalChanges: 0,
    postureChanges: 4,
    goal: 0.006,
  },
];
