import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { UsageError } from './usage.ts';

/** The management API did not do what was asked; the message is its own explanation. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, detail: string) {
    super(`The API answered ${status}: ${detail}`);
    this.name = 'ApiError';
    this.status = status;
  }
}

/** The management API could not be reached, or something else is at its address. */
export class ApiUnreachable extends Error {
  constructor(origin: string, why: string) {
    super(`${origin} ${why}. Is the address right, and is the API running?`);
    this.name = 'ApiUnreachable';
  }
}

const Problem = v.object({ title: v.optional(v.string()), detail: v.optional(v.string()) });

/** How often a request that may be repeated is made in all. */
const tries = 6;

/** How long an answer may take, ms; API Gateway gives up after 29 s. */
const answerLimit = 35_000;

/** Reads from the management API as somebody who is signed in. */
export class ApiClient {
  readonly #base: URL;
  readonly #token: string;
  #reached = false;

  /**
   * @param url address of the API as `apiAddress` gives it, with or without `/v1`
   * @param token access token of the OpenID provider
   */
  constructor(url: string, token: string) {
    this.#base = new URL(`${url.replace(/\/+$/, '').replace(/\/v1$/, '')}/v1`);
    this.#token = token;
  }

  /**
   * GET. Waits and repeats when the API is busy, or no longer answers although it did before; throws ApiError for every
   * other refusal, and ApiUnreachable.
   */
  async get(path: string, query: Readonly<Record<string, string | undefined>>): Promise<unknown> {
    const url = new URL(this.#base.href + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    for (let tried = 1; ; tried += 1) {
      const answer = await this.#ask(url);
      if (answer instanceof ApiUnreachable) {
        if (!this.#reached || tried >= tries) throw answer;
        await sleep(500 * 2 ** tried);
        continue;
      }
      this.#reached = true;
      const { response, text } = answer;
      if (response.ok) return this.#json(text);
      if (![429, 503].includes(response.status) || tried >= tries) throw new ApiError(response.status, detailOf(text));
      await sleep(1000 * Math.min(30, Number(response.headers.get('retry-after') ?? '1') || 1));
    }
  }

  async #ask(url: URL): Promise<{ response: Response; text: string } | ApiUnreachable> {
    try {
      const response = await fetch(url, {
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(answerLimit),
      });
      return { response, text: await response.text() };
    } catch (error) {
      return new ApiUnreachable(url.origin, `does not answer (${reasonOf(error)})`);
    }
  }

  #json(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiUnreachable(this.#base.origin, 'answers, but not as the management API does');
    }
  }
}

/** What went wrong below HTTP, in a few words: the code of the operating system or of TLS where there is one. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${answerLimit / 1000} s`;
  const { cause } = error;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : error.message;
}

/**
 * The address of the API: as given, else `WARDLINE_API`, else that of the local cloud that runs in this folder.
 * Undefined when none is known.
 *
 * @throws UsageError for one that the access token must not be sent to
 */
export function apiAddress(given: string | undefined): string | undefined {
  const named = given ?? process.env['WARDLINE_API'];
  if (named !== undefined && named !== '') {
    if (!URL.canParse(named)) throw new UsageError(`${named} is not the URL of an API.`, example);
    const { protocol, hostname } = new URL(named);
    if (protocol === 'https:' || (protocol === 'http:' && thisMachine.has(hostname))) return named;
    throw new UsageError(`${named} is not https: the access token would be sent where others can read it.`, example);
  }
  try {
    const { api } = v.parse(v.object({ api: v.string() }), JSON.parse(readFileSync('.wardline/local.json', 'utf8')));
    // A file that lies in some folder must not say where else the token goes.
    return thisMachine.has(new URL(api).hostname) ? api : undefined;
  } catch {
    return undefined;
  }
}

const example = 'Give --api or WARDLINE_API like https://api.example.org';
const thisMachine: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

function detailOf(text: string): string {
  try {
    const { title, detail } = v.parse(Problem, JSON.parse(text));
    return detail ?? title ?? text;
  } catch {
    return text.slice(0, 200);
  }
}
