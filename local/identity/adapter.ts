import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';
import type { Store } from '../cloud.ts';

/** What is kept of a session, code or grant: the provider's own payload and when it ends. */
interface Kept {
  readonly payload: AdapterPayload;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/**
 * Keeps the provider's sessions, codes and grants in the store of the local cloud: who is signed in stays signed in
 * when it is started again. Entries that ended are removed at the start and when they are met.
 */
export function storeAdapter(store: Store): AdapterFactory {
  return (model) => new StoreAdapter(store, `identity-${model}`);
}

class StoreAdapter implements Adapter {
  readonly #store: Store;
  readonly #space: string;

  constructor(store: Store, space: string) {
    this.#store = store;
    this.#space = space;
    for (const { key, value } of store.list<Kept>(space)) {
      if (value.expiresAt <= Date.now()) store.delete(space, key);
    }
  }

  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const expiresAt = Date.now() + (expiresIn > 0 ? expiresIn : 86_400) * 1000;
    this.#store.put(this.#space, id, { payload, expiresAt } satisfies Kept);
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const kept = this.#store.get<Kept>(this.#space, id);
    if (kept === undefined) return undefined;
    if (kept.expiresAt > Date.now()) return kept.payload;
    this.#store.delete(this.#space, id);
    return undefined;
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.#findBy(({ payload }) => payload.uid === uid);
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.#findBy(({ payload }) => payload.userCode === userCode);
  }

  async consume(id: string): Promise<void> {
    const kept = this.#store.get<Kept>(this.#space, id);
    if (kept === undefined) return;
    const payload = { ...kept.payload, consumed: Math.floor(Date.now() / 1000) };
    this.#store.put(this.#space, id, { ...kept, payload } satisfies Kept);
  }

  async destroy(id: string): Promise<void> {
    this.#store.delete(this.#space, id);
  }

  async revokeByGrantId(grantId: string): Promise<void> {
    for (const { key, value } of this.#store.list<Kept>(this.#space)) {
      if (value.payload.grantId === grantId) this.#store.delete(this.#space, key);
    }
  }

  /** A handful of demo users: looking through their sessions is quick enough. */
  async #findBy(matches: (kept: Kept) => boolean): Promise<AdapterPayload | undefined> {
    const entry = this.#store.list<Kept>(this.#space).find(({ value }) => matches(value));
    return entry === undefined ? undefined : this.find(entry.key);
  }
}
