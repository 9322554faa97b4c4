/** One kind of problem, for the documentation: what `type` it has and what the reader can do. */
export interface ProblemKind {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly meaning: string;
}

/** All kinds of problem of the management API. A test holds this list against the functions that make them. */
export const problemKinds: readonly ProblemKind[] = [
  {
    type: '/problems/invalid-request',
    title: 'The request is not valid',
    status: 400,
    meaning: 'Correct what `errors` points at. The same request never succeeds.',
  },
  {
    type: '/problems/unauthenticated',
    title: 'Not signed in',
    status: 401,
    meaning: 'The access token is missing, expired, or not of a configured issuer. Sign in and repeat.',
  },
  {
    type: '/problems/insufficient-user-authentication',
    title: 'Sign in again',
    status: 401,
    meaning:
      'The action needs a fresh sign-in or a second factor (RFC 9470). The members `acrValues` and `maxAgeSeconds` say which, and so does `WWW-Authenticate`, which API Gateway hands on as `x-amzn-Remapped-WWW-Authenticate`; sign in so and repeat.',
  },
  {
    type: '/problems/forbidden',
    title: 'Not permitted',
    status: 403,
    meaning: 'A policy forbids it or none permits it: `policyIds` and `reasons` say which and why.',
  },
  {
    type: '/problems/filtered',
    title: 'Refused by the web application firewall',
    status: 403,
    meaning: 'The request looks like an attack, or too many came from this address. The function has not seen it.',
  },
  {
    type: '/problems/not-found',
    title: 'Not found',
    status: 404,
    meaning: 'There is nothing with this id, or no such operation at this path.',
  },
  {
    type: '/problems/conflict',
    title: 'Conflict',
    status: 409,
    meaning: 'The state of the resource does not allow it; `detail` says what stands in the way.',
  },
  {
    type: '/problems/refused-by-gate',
    title: 'Refused by a safety rule',
    status: 409,
    meaning:
      '`gate` and `ruleId` say which rule (docs/safety.md), `inputs` what it was decided on, `until` when it is worth asking again.',
  },
  {
    type: '/problems/precondition-failed',
    title: 'Changed in the meantime',
    status: 412,
    meaning: 'Somebody else changed the resource. Read it again, look at the change, then decide.',
  },
  {
    type: '/problems/too-large',
    title: 'Too large',
    status: 413,
    meaning: 'The body is larger than `limitBytes`.',
  },
  {
    type: '/problems/unsupported-media-type',
    title: 'Unsupported media type',
    status: 415,
    meaning: 'Send one of the media types of the operation.',
  },
  {
    type: '/problems/precondition-required',
    title: 'If-Match is required',
    status: 428,
    meaning: 'Read the resource and send its `ETag` as `If-Match`.',
  },
  {
    type: '/problems/too-many-requests',
    title: 'Too many requests',
    status: 429,
    meaning: 'Wait for `Retry-After` seconds.',
  },
  {
    type: '/problems/refused',
    title: 'The request was refused',
    status: 400,
    meaning: 'API Gateway refused it before any function saw it, for a reason that has no kind of its own.',
  },
  {
    type: '/problems/internal',
    title: 'Internal error',
    status: 500,
    meaning: 'A defect. The log has the reason under the request id in `instance`.',
  },
  {
    type: '/problems/unavailable',
    title: 'Unavailable',
    status: 503,
    meaning: 'Busy or overloaded. Send the same request again after `Retry-After` seconds.',
  },
];
