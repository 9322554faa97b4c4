/** The management API refused. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** A client of the management API, as any program of the hospital could be one. */
export interface ApiClient {
  get(path: string): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** All items of a list, over all of its pages. */
  list(path: string): Promise<Readonly<Record<string, unknown>>[]>;
}

/** How often a request is tried that was answered with 429 or 5xx. */
const ATTEMPTS = 6;

/**
 * Makes a client.
 *
 * @param url base URL of the API without the stage, e.g. `http://localhost:4800`
 * @param token gives an access token; asked again when one is refused
 */
export function apiClient(url: string, token: () => Promise<string>, signal: AbortSignal): ApiClient {
  let current: Promise<string> | undefined;

  const call = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    for (let attempt = 1; ; attempt += 1) {
      current ??= token();
      const response = await fetch(`${url}/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${await current}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]),
      });
      if (response.ok) return response.json();
      const text = await response.text();
      const again = response.status === 429 || response.status >= 500 || response.status === 401;
      if (!again || attempt === ATTEMPTS || signal.aborted) {
        throw new ApiError(
          response.status,
          `${method} ${path} was answered with ${response.status}: ${text.slice(0, 300)}`,
        );
      }
      if (response.status === 401) current = undefined;
      await pause(200 * 2 ** attempt, signal);
    }
  };

  return {
    get: (path) => call('GET', path),
    post: (path, body) => call('POST', path, body),
    async list(path) {
      const items: Readonly<Record<string, unknown>>[] = [];
      let cursor: string | undefined;
      do {
        const query = new URLSearchParams({ limit: '100', ...(cursor === undefined ? {} : { cursor }) });
        const page = await call('GET', `${path}${path.includes('?') ? '&' : '?'}${query}`);
        items.push(...itemsOf(page));
        cursor = text(page, 'next');
      } while (cursor !== undefined);
      return items;
    },
  };
}

/** A member that is a string, else undefined. */
export function text(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const member: unknown = Reflect.get(value, name);
  return typeof member === 'string' ? member : undefined;
}

function itemsOf(page: unknown): Readonly<Record<string, unknown>>[] {
  const items: unknown = typeof page === 'object' && page !== null ? Reflect.get(page, 'items') : undefined;
  if (!Array.isArray(items)) throw new Error('the management API answered something that is not a list');
  return items.filter((item) => typeof item === 'object' && item !== null);
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
