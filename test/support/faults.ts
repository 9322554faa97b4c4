import type { Table } from '../../shared/aws/dynamodb.ts';

/** What happens to one try of a request. */
export type Fault =
  /** Refused before anything happens, as DynamoDB does when it is asked too much. */
  | 'throttled'
  /** Carried out, but the answer never arrives. */
  | 'answer-lost'
  /** The function is killed before the request leaves, or after it was carried out. */
  | 'killed-before'
  | 'killed-after';

/** Stands for the end of the worker: nothing catches it. */
export class Killed extends Error {
  constructor() {
    super('killed');
    this.name = 'Killed';
  }
}

/**
 * Injects faults into the requests to a table until it is called off. `decide` gets the number of the try, from 0 on.
 * Throttling and lost answers happen inside the SDK's retries, so that these are tested too.
 */
export function injectFaults(table: Table, decide: (attempt: number) => Fault | undefined): () => void {
  let attempts = 0;
  const name = 'injectedFault';
  table.client.middlewareStack.add(
    (next) => async (args) => {
      const fault = decide(attempts);
      attempts += 1;
      if (fault === 'throttled') throw named('ThrottlingException');
      if (fault === 'killed-before') throw new Killed();
      const answer = await next(args);
      if (fault === 'answer-lost') throw named('TimeoutError');
      if (fault === 'killed-after') throw new Killed();
      return answer;
    },
    { step: 'finalizeRequest', priority: 'low', name, override: true },
  );
  return () => {
    table.client.middlewareStack.remove(name);
  };
}

const named = (name: string): Error => Object.assign(new Error(name), { name, $fault: 'client', $metadata: {} });
