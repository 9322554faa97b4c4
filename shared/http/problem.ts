/**
 * Problem Details for HTTP APIs (RFC 9457). Every error that a person or program can cause is thrown as a
 * `ProblemError`; the middleware turns it into `application/problem+json`. `type` is stable and documented in
 * `docs/api.md`; `detail` is written for the reader and never carries a secret or anything about a patient.
 */
export interface Problem {
  /** A URI reference that names the kind of problem, e.g. `/problems/not-found`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** Further members, e.g. `errors` with one entry for each field that is wrong. */
  readonly [member: string]: unknown;
}

/** What an invalid request got wrong, one entry for each place. */
export interface FieldError {
  /** JSON Pointer (RFC 6901) into the body, or `query/<name>`. */
  readonly pointer: string;
  readonly detail: string;
}

/** An error with an answer: thrown anywhere below a handler, answered as problem+json. */
export class ProblemError extends Error {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;
  constructor(problem: Problem, headers: Readonly<Record<string, string>> = {}) {
    super(problem.detail ?? problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
    this.headers = headers;
  }
}

/** The kinds of problem that Wardline answers, each made by one function so that type, title and status belong together. */
export const problems = {
  invalid: (detail: string, errors: readonly FieldError[] = []) =>
    new ProblemError({
      type: '/problems/invalid-request',
      title: 'The request is not valid',
      status: 400,
      detail,
      ...(errors.length > 0 ? { errors } : {}),
    }),
  unauthenticated: (detail: string, headers: Record<string, string> = {}) =>
    new ProblemError({ type: '/problems/unauthenticated', title: 'Not signed in', status: 401, detail }, headers),
  forbidden: (detail: string, members: Record<string, unknown> = {}) =>
    new ProblemError({ type: '/problems/forbidden', title: 'Not permitted', status: 403, detail, ...members }),
  notFound: (detail: string) =>
    new ProblemError({ type: '/problems/not-found', title: 'Not found', status: 404, detail }),
  conflict: (detail: string, members: Record<string, unknown> = {}) =>
    new ProblemError({ type: '/problems/conflict', title: 'Conflict', status: 409, detail, ...members }),
  preconditionFailed: (detail: string) =>
    new ProblemError({ type: '/problems/precondition-failed', title: 'Changed in the meantime', status: 412, detail }),
  tooLarge: (detail: string, limitBytes: number) =>
    new ProblemError({ type: '/problems/too-large', title: 'Too large', status: 413, detail, limitBytes }),
  unsupportedMediaType: (detail: string) =>
    new ProblemError({
      type: '/problems/unsupported-media-type',
      title: 'Unsupported media type',
      status: 415,
      detail,
    }),
  tooManyRequests: (detail: string, retryAfterSeconds: number) =>
    new ProblemError(
      { type: '/problems/too-many-requests', title: 'Too many requests', status: 429, detail },
      { 'retry-after': String(retryAfterSeconds) },
    ),
  unavailable: (detail: string, retryAfterSeconds = 5) =>
    new ProblemError(
      { type: '/problems/unavailable', title: 'Unavailable', status: 503, detail },
      { 'retry-after': String(retryAfterSeconds) },
    ),
} as const;
