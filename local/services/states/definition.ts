import type { Json } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';

/** A definition that is not valid, or that uses what would run differently here than in AWS. */
export class InvalidDefinition extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidDefinition';
  }
}

/** One entry of a task's `Retry`. Times in seconds. */
export interface Retrier {
  readonly errors: readonly string[];
  readonly interval: number;
  readonly maximumAttempts: number;
  readonly backoffRate: number;
  readonly maximumDelay: number;
}

/** What a state that takes time does. */
export type TaskPlan =
  | { readonly kind: 'wait' }
  | {
      readonly kind: 'task';
      readonly resource: string;
      readonly retriers: readonly Retrier[];
      readonly timeoutSeconds: number | undefined;
      readonly heartbeatSeconds: number | undefined;
      /** Whether a catcher takes `States.Timeout`; `States.TaskFailed` does not. */
      readonly catchesTimeout: boolean;
    };

/** A definition that is ready to run. */
export interface PreparedDefinition {
  /** For the library: waits are tasks, and retries, timeouts and heartbeats are left to the plans. */
  readonly definition: JsonObject;
  /** By the state's name. */
  readonly plans: ReadonlyMap<string, TaskPlan>;
  readonly timeoutSeconds: number | undefined;
}

/** What is in the place of a task token until a fresh one is made. */
export const TOKEN_PLACEHOLDER = 'wardline-task-token';

/** The library's own timeout of a task, which must never come first; longer would overflow Node.js's timers. */
const LIBRARY_TIMEOUT = 2_147_000;

const COMMON = ['Type', 'Comment', 'Next', 'End', 'InputPath', 'OutputPath'];
const RESULT = ['ResultSelector', 'ResultPath', 'Parameters', 'Catch'];

/** The fields that are honoured, by type of state. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Task: [...COMMON, ...RESULT, 'Resource', 'Retry', 'TimeoutSeconds', 'HeartbeatSeconds'],
  Pass: [...COMMON, 'Result', 'ResultPath', 'Parameters'],
  Choice: ['Type', 'Comment', 'InputPath', 'OutputPath', 'Choices', 'Default'],
  Wait: ['Type', 'Comment', 'Next', 'End', 'OutputPath', 'Seconds', 'SecondsPath', 'Timestamp', 'TimestampPath'],
  Succeed: ['Type', 'Comment', 'InputPath', 'OutputPath'],
  Fail: ['Type', 'Comment', 'Error', 'Cause', 'ErrorPath', 'CausePath'],
  Parallel: [...COMMON, ...RESULT, 'Branches'],
  Map: [
    ...COMMON,
    ...RESULT,
    'ItemsPath',
    'ItemSelector',
    'ItemProcessor',
    'Iterator',
    'MaxConcurrency',
    'MaxConcurrencyPath',
  ],
};

const MACHINE_FIELDS = ['Comment', 'StartAt', 'States', 'TimeoutSeconds', 'Version', 'QueryLanguage'];
const PROCESSOR_FIELDS = ['Comment', 'StartAt', 'States', 'ProcessorConfig', 'QueryLanguage'];

/** Why some fields that AWS knows are refused, for a better message. */
const REASONS: Readonly<Record<string, string>> = {
  Retry: 'it is supported on Task states only',
  Assign: 'variables are not supported; use ResultPath',
  Arguments: 'JSONata is not supported; use Parameters',
  Output: 'JSONata is not supported; use ResultSelector',
  InputPath: 'a Wait state passes its input on as it is',
};

/** The parts of the context object that have a value here. */
const CONTEXT =
  /^\$\$\.(Execution\.(Id|Name|RoleArn|Input|StartTime)|StateMachine\.(Id|Name)|Task\.Token|Map\.Item\.(Index|Value))(?![A-Za-z])/;

const onlyFields = (fields: JsonObject, allowed: readonly string[], where: string): void => {
  const unknown = Object.keys(fields).find((name) => !allowed.includes(name));
  if (unknown === undefined) return;
  const reason = REASONS[unknown];
  throw new InvalidDefinition(`${where}: ${unknown} is not emulated${reason === undefined ? '' : `, ${reason}`}`);
};

/**
 * Text of a definition with the context object's names of this cloud: within Map and Parallel the library would put the
 * branch's input and start in the place of the execution's.
 */
const prepareText = (text: string, where: string): string => {
  if (/States\.(UUID|MathRandom)\(/.test(text)) {
    throw new InvalidDefinition(`${where}: ${text} gives another value after a restart; let a function make it`);
  }
  for (let at = text.indexOf('$$'); at >= 0; at = text.indexOf('$$', at + 2)) {
    if (!CONTEXT.test(text.slice(at)))
      throw new InvalidDefinition(`${where}: "${text}" asks for a part of the context object that is not emulated`);
  }
  return text.replace(/\$\$\.Execution\.(Input|StartTime)/g, '$$$$.Wardline.$1');
};

const prepareTexts = (value: Json, where: string): Json => {
  if (typeof value === 'string') return prepareText(value, where);
  if (Array.isArray(value)) return value.map((one) => prepareTexts(one, where));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, name === 'Comment' ? one : prepareTexts(one, where)]),
  );
};

const retrierOf = (fields: Fields, where: string): Retrier => {
  onlyFields(
    { ...fields.raw },
    ['ErrorEquals', 'IntervalSeconds', 'MaxAttempts', 'BackoffRate', 'MaxDelaySeconds', 'JitterStrategy', 'Comment'],
    `${where}.Retry`,
  );
  if ((fields.optionalText('JitterStrategy') ?? 'NONE') !== 'NONE')
    throw new InvalidDefinition(`${where}.Retry: JitterStrategy is not emulated`);
  return {
    errors: fields.texts('ErrorEquals'),
    interval: fields.optionalNumber('IntervalSeconds') ?? 1,
    maximumAttempts: fields.optionalNumber('MaxAttempts') ?? 3,
    backoffRate: fields.optionalNumber('BackoffRate') ?? 2,
    maximumDelay: fields.optionalNumber('MaxDelaySeconds') ?? Number.POSITIVE_INFINITY,
  };
};

const catches = (catcher: Json, error: string): boolean => {
  const errors = isObject(catcher) ? catcher['ErrorEquals'] : undefined;
  return Array.isArray(errors) && errors.includes(error);
};

/** Collects the plans of a definition while it writes the library's form of it. */
class Preparation {
  readonly plans = new Map<string, TaskPlan>();
  readonly #names = new Set<string>();

  states(value: Json | undefined, where: string): JsonObject {
    if (!isObject(value)) throw new InvalidDefinition(`${where}: States is missing`);
    return Object.fromEntries(
      Object.entries(value).map(([name, state]) => {
        // Plans are by name, and AWS too wants names to be unique in a whole state machine.
        if (this.#names.has(name)) throw new InvalidDefinition(`Two states are called ${name}`);
        this.#names.add(name);
        if (!isObject(state)) throw new InvalidDefinition(`${name} is not an object`);
        return [name, this.#state(name, state)];
      }),
    );
  }

  #state(name: string, state: JsonObject): JsonObject {
    const type = String(state['Type']);
    const allowed = Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined;
    if (allowed === undefined) throw new InvalidDefinition(`${name}: the type ${type} is not known`);
    const { QueryLanguage: language, ...fields } = state;
    if (language !== undefined && language !== 'JSONPath')
      throw new InvalidDefinition(`${name}: JSONata is not supported; write JSONPath`);
    onlyFields(fields, allowed, name);
    switch (type) {
      case 'Task':
        return this.#task(name, fields);
      case 'Wait':
        return this.#wait(name, fields);
      case 'Parallel': {
        const branches = new Fields(fields, name).objects('Branches').map((branch) => {
          onlyFields({ ...branch.raw }, ['Comment', 'StartAt', 'States'], name);
          return { ...branch.raw, States: this.states(branch.raw['States'], name) };
        });
        const { Branches: _branches, ...rest } = fields;
        return { ...this.#texts(name, rest), Branches: branches };
      }
      case 'Map':
        return this.#map(name, fields);
      case 'Pass':
        if ('Result' in fields && !fields['Result']) {
          throw new InvalidDefinition(
            `${name}: a Result of ${JSON.stringify(fields['Result'])} is not emulated; put it into an object`,
          );
        }
        return this.#pass(name, fields);
      default:
        return this.#texts(name, fields);
    }
  }

  #texts(name: string, fields: JsonObject): JsonObject {
    return prepareTexts(fields, name) as JsonObject;
  }

  #pass(name: string, fields: JsonObject): JsonObject {
    // A result is data, in which dollar signs mean nothing.
    const { Result: result, ...rest } = fields;
    return { ...this.#texts(name, rest), ...(result === undefined ? {} : { Result: result }) };
  }

  #wait(name: string, fields: JsonObject): JsonObject {
    this.plans.set(name, { kind: 'wait' });
    const parameters: JsonObject = {};
    for (const field of ['Seconds', 'Timestamp']) {
      if (fields[field] !== undefined) parameters[field] = fields[field];
      const path = fields[`${field}Path`];
      if (path !== undefined) parameters[`${field}.$`] = path;
    }
    const { Seconds: _s, SecondsPath: _sp, Timestamp: _t, TimestampPath: _tp, ...rest } = fields;
    return this.#texts(name, {
      ...rest,
      Type: 'Task',
      Resource: 'wait',
      Parameters: parameters,
      ResultPath: null,
      TimeoutSeconds: LIBRARY_TIMEOUT,
    });
  }

  #task(name: string, fields: JsonObject): JsonObject {
    const read = new Fields(fields, name);
    const catchers = read.list('Catch');
    const ofTimeout = catchers.find((catcher) => catches(catcher, 'States.Timeout') || catches(catcher, 'States.ALL'));
    this.plans.set(name, {
      kind: 'task',
      resource: read.text('Resource'),
      retriers: read.objects('Retry').map((retrier) => retrierOf(retrier, name)),
      timeoutSeconds: read.optionalNumber('TimeoutSeconds'),
      heartbeatSeconds: read.optionalNumber('HeartbeatSeconds'),
      catchesTimeout: ofTimeout !== undefined,
    });
    const { Retry: _retry, HeartbeatSeconds: _heartbeat, ...rest } = fields;
    return this.#texts(name, {
      ...rest,
      TimeoutSeconds: LIBRARY_TIMEOUT,
      // The library would let `States.TaskFailed` of an earlier catcher take a timeout.
      ...(isObject(ofTimeout) ? { Catch: [{ ...ofTimeout, ErrorEquals: ['States.Timeout'] }, ...catchers] } : {}),
    });
  }

  #map(name: string, fields: JsonObject): JsonObject {
    const { ItemProcessor: processor, Iterator: iterator, ...rest } = fields;
    const inner = processor ?? iterator;
    if (!isObject(inner)) throw new InvalidDefinition(`${name}: ItemProcessor is missing`);
    onlyFields(inner, PROCESSOR_FIELDS, name);
    const configuration = inner['ProcessorConfig'];
    const mode = isObject(configuration) ? (configuration['Mode'] ?? 'INLINE') : 'INLINE';
    if (mode !== 'INLINE')
      throw new InvalidDefinition(`${name}: the mode ${String(mode)} is not emulated; only INLINE is`);
    return {
      ...this.#texts(name, rest),
      ItemProcessor: { StartAt: inner['StartAt'] ?? '', States: this.states(inner['States'], name) },
    };
  }
}

/**
 * Checks a definition (Amazon States Language with JSONPath) and prepares it for the library that runs it. Throws
 * InvalidDefinition for whatever the library ignores or does differently.
 */
export const prepareDefinition = (definition: JsonObject): PreparedDefinition => {
  onlyFields(definition, MACHINE_FIELDS, 'the state machine');
  if ((definition['QueryLanguage'] ?? 'JSONPath') !== 'JSONPath')
    throw new InvalidDefinition('JSONata is not supported; write JSONPath');
  const preparation = new Preparation();
  const states = preparation.states(definition['States'], 'the state machine');
  return {
    definition: { StartAt: definition['StartAt'] ?? '', States: states },
    plans: preparation.plans,
    timeoutSeconds: new Fields(definition).optionalNumber('TimeoutSeconds'),
  };
};
