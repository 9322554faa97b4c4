import { wildcard } from '../iam/wildcard.ts';

/** One way in which the local cloud misbehaves on purpose. */
export interface FaultRule {
  /** SigV4 signing name, e.g. `dynamodb`; `lambda` with operation `Invoke` hits invocations. `*` and `?` are wildcards. */
  readonly service: string;
  /** AWS's operation name; all when absent. Wildcards as above. */
  readonly operation?: string;
  /** Name of the calling function (of the invoked one for `lambda` `Invoke`), e.g. `*device-checkin*`; all callers when absent. */
  readonly function?: string;
  /** Share of the matching calls that are hit, 0 to 1; 1 when absent. */
  readonly rate?: number;
  /** An AWS error code, `timeout` (no answer ever comes) or `kill` (the calling function's instance dies). */
  readonly error: string;
  /** HTTP status of an error code; 400 when absent. */
  readonly status?: number;
  /** Whether the call takes effect: `before` (default) means it does not, `after` means it does and only the answer is lost. */
  readonly when?: 'before' | 'after';
  /** After this many hits the rule has no more effect. */
  readonly times?: number;
  /** Seed of the rule's chance; the same seed hits the same calls. */
  readonly seed?: number;
}

/** What a call has to suffer. */
export interface Fault {
  readonly error: string;
  readonly status: number;
  readonly when: 'before' | 'after';
}

interface ActiveRule {
  readonly rule: FaultRule;
  readonly service: RegExp;
  readonly operation: RegExp;
  readonly function: RegExp;
  readonly chance: () => number;
  hits: number;
}

/** The fault plan: rules in order, the first that hits a call counts. */
export class FaultPlan {
  #rules: ActiveRule[] = [];

  /** Replaces the plan. */
  set(rules: readonly FaultRule[]): void {
    this.#rules = rules.map((rule, index) => ({
      rule,
      service: wildcard(rule.service, 'i'),
      operation: wildcard(rule.operation ?? '*', 'i'),
      function: wildcard(rule.function ?? '*', 'i'),
      chance: seeded(rule.seed ?? index + 1),
      hits: 0,
    }));
  }

  /** The rules with how often each has hit. */
  get rules(): readonly (FaultRule & { readonly hits: number })[] {
    return this.#rules.map(({ rule, hits }) => ({ ...rule, hits }));
  }

  /** What this call has to suffer, if anything. */
  strike(service: string, operation: string, functionName: string | undefined): Fault | undefined {
    for (const active of this.#rules) {
      const { rule } = active;
      if (rule.times !== undefined && active.hits >= rule.times) continue;
      if (!active.service.test(service) || !active.operation.test(operation)) continue;
      if (!active.function.test(functionName ?? '')) continue;
      if (rule.rate !== undefined && active.chance() >= rule.rate) continue;
      active.hits += 1;
      return { error: rule.error, status: rule.status ?? 400, when: rule.when ?? 'before' };
    }
    return undefined;
  }
}

/** Reads a fault plan from JSON: a list of rules. Throws an error that names the rule and field that is wrong. */
export function parseFaultPlan(json: string): FaultRule[] {
  const parsed: unknown = JSON.parse(json);
  if (!Array.isArray(parsed)) throw new Error('a fault plan is a JSON list of rules');
  return parsed.map((rule: unknown, index) => readRule(rule, `rule ${index + 1}`));
}

const FIELDS: Readonly<Record<keyof FaultRule, (value: unknown) => boolean>> = {
  service: isText,
  operation: isText,
  function: isText,
  rate: (value) => typeof value === 'number' && value >= 0 && value <= 1,
  error: isText,
  status: (value) => Number.isInteger(value) && Number(value) >= 400 && Number(value) <= 599,
  when: (value) => value === 'before' || value === 'after',
  times: (value) => Number.isInteger(value) && Number(value) > 0,
  seed: (value) => Number.isInteger(value),
};

function readRule(rule: unknown, where: string): FaultRule {
  if (rule === null || typeof rule !== 'object') throw new Error(`${where} of the fault plan is not an object`);
  for (const [name, value] of Object.entries(rule)) {
    const valid = Object.entries(FIELDS).find(([field]) => field === name)?.[1];
    if (valid === undefined) throw new Error(`${where} of the fault plan: ${name} is not a field`);
    if (!valid(value)) throw new Error(`${where} of the fault plan: ${name} cannot be ${JSON.stringify(value)}`);
  }
  if (!('service' in rule) || !('error' in rule)) throw new Error(`${where} of the fault plan needs service and error`);
  return rule as FaultRule;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

/** Mulberry32: a small generator with a 32-bit seed; numbers from 0 up to 1. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
