import { randomBytes } from 'node:crypto';
import { AwsError, type Clock, type Store } from '../../cloud.ts';
import type { Outcome, TokenRecord } from './execution.ts';

const SPACE = 'states/token';

/** Task tokens, kept in the cloud's store. */
export class Tokens {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, () => void>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  create(executionArn: string, task: string): string {
    const token = randomBytes(48).toString('base64url');
    const record: TokenRecord = { executionArn, task, heartbeatAt: this.#clock.now() };
    this.#store.put(SPACE, token, record);
    return token;
  }

  /** AwsError `InvalidToken`, or `TaskTimedOut` when the task has ended. */
  get(token: string): TokenRecord {
    const record = this.#store.get<TokenRecord | null>(SPACE, token);
    if (record === undefined) throw new AwsError('InvalidToken', "Invalid Token: 'Invalid token'");
    if (record === null || record.outcome !== undefined) {
      throw new AwsError('TaskTimedOut', "Task Timed Out: 'Provided task does not exist anymore'");
    }
    return record;
  }

  /** SendTaskSuccess and SendTaskFailure. */
  settle(token: string, outcome: Outcome): void {
    this.#store.put(SPACE, token, { ...this.get(token), outcome } satisfies TokenRecord);
    this.#waiting.get(token)?.();
  }

  /** SendTaskHeartbeat. */
  beat(token: string): void {
    this.#store.put(SPACE, token, { ...this.get(token), heartbeatAt: this.#clock.now() } satisfies TokenRecord);
  }

  /** When the token was last heard of, ms since the epoch. */
  heartbeatAt(token: string): number {
    return this.#store.get<TokenRecord | null>(SPACE, token)?.heartbeatAt ?? 0;
  }

  /** The token's task has ended: it stays known as one that has. */
  end(token: string): void {
    this.#store.put(SPACE, token, null);
    this.#waiting.delete(token);
  }

  /** Waits for the token's outcome. */
  outcome(token: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const look = () => {
        const outcome = this.#store.get<TokenRecord | null>(SPACE, token)?.outcome;
        if (outcome !== undefined) resolve(outcome);
      };
      this.#waiting.set(token, look);
      look();
    });
  }
}
