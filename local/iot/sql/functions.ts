import { randomUUID } from 'node:crypto';
import type { Json } from '../../cloud.ts';

/** A message as a rule sees it. */
export interface RuleMessage {
  /** Without the Basic Ingest prefix. */
  readonly topic: string;
  readonly payload: Buffer;
  /** `n/a` when it did not come over MQTT. */
  readonly clientId: string;
  /** Certificate id for a device; undefined for what AWS itself publishes. */
  readonly principal: string | undefined;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly traceId: string;
}

/** A value of IoT SQL: JSON, or undefined. */
export type Value = Json | undefined;

interface SqlFunction {
  readonly least: number;
  readonly most: number;
  run(values: readonly Value[], message: RuleMessage): Value;
}

const onText =
  (run: (text: string) => Value) =>
  ([value]: readonly Value[]): Value => {
    const text = asText(value);
    return text === undefined ? undefined : run(text);
  };

const onTexts =
  (run: (text: string, other: string) => Value) =>
  ([left, right]: readonly Value[]): Value => {
    const text = asText(left);
    const other = asText(right);
    return text === undefined || other === undefined ? undefined : run(text, other);
  };

/** https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html */
const FUNCTIONS: Readonly<Record<string, SqlFunction>> = {
  topic: {
    least: 0,
    most: 1,
    run: ([level], message) => (level === undefined ? message.topic : levelOf(message.topic, level)),
  },
  clientid: { least: 0, most: 0, run: (_, message) => message.clientId },
  principal: { least: 0, most: 1, run: (_, message) => message.principal },
  timestamp: { least: 0, most: 0, run: (_, message) => message.receivedAt },
  traceid: { least: 0, most: 0, run: (_, message) => message.traceId },
  newuuid: { least: 0, most: 0, run: () => randomUUID() },
  encode: { least: 2, most: 2, run: onText((text) => Buffer.from(text).toString('base64')) },
  decode: { least: 2, most: 2, run: onText((text) => Buffer.from(text, 'base64').toString('utf8')) },
  lower: { least: 1, most: 1, run: onText((text) => text.toLowerCase()) },
  upper: { least: 1, most: 1, run: onText((text) => text.toUpperCase()) },
  trim: { least: 1, most: 1, run: onText((text) => text.trim()) },
  length: { least: 1, most: 1, run: onText((text) => text.length) },
  startswith: { least: 2, most: 2, run: onTexts((text, start) => text.startsWith(start)) },
  endswith: { least: 2, most: 2, run: onTexts((text, end) => text.endsWith(end)) },
  indexof: { least: 2, most: 2, run: onTexts((text, part) => text.indexOf(part)) },
  concat: {
    least: 1,
    most: 20,
    run: (values) => {
      const texts = values.map(asText);
      return texts.some((text) => text === undefined) ? undefined : texts.join('');
    },
  },
  substring: {
    least: 2,
    most: 3,
    run: ([value, start, end]) => {
      const text = asText(value);
      if (text === undefined || typeof start !== 'number') return undefined;
      return text.substring(start, typeof end === 'number' ? end : undefined);
    },
  },
  isnull: { least: 1, most: 1, run: ([value]) => value === null },
  isundefined: { least: 1, most: 1, run: ([value]) => value === undefined },
};

export function isFunction(name: string): boolean {
  return Object.hasOwn(FUNCTIONS, name);
}

/** Why a call with these arguments can never work, or undefined. Found when the rule is made, not when a message comes. */
export function callProblem(name: string, count: number, literals: readonly unknown[]): string | undefined {
  const known = FUNCTIONS[name];
  if (known === undefined) return 'unknown function';
  if (count < known.least || count > known.most) return `takes ${known.least} to ${known.most} arguments`;
  if ((name === 'encode' || name === 'decode') && literals[1] !== 'base64') return "only 'base64' is emulated";
  return undefined;
}

/** Calls a function by its lower-case name. */
export function callFunction(name: string, values: readonly Value[], message: RuleMessage): Value {
  return FUNCTIONS[name]?.run(values, message);
}

function levelOf(topic: string, level: Value): Value {
  return typeof level === 'number' ? topic.split('/')[level - 1] : undefined;
}

function asText(value: Value): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
