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
    meaning: 'Correct the values that `errors` points to. Repeating the same request cannot succeed.',
  },
  {
    type: '/problems/unauthenticated',
    title: 'Not signed in',
    status: 401,
    meaning: 'The access token is missing, expired, or not from the configured issuer. Sign in and try again.',
  },
  {
    type: '/problems/insufficient-user-authentication',
    title: 'Sign in again',
    status: 401,
    meaning:
      'The action requires a recent sign-in or a second factor (RFC 9470). `acrValues` and `maxAgeSeconds` say which, as does `WWW-Authenticate`, which API Gateway renames to `x-amzn-Remapped-WWW-Authenticate`. Sign in accordingly and try again.',
  },
  {
    type: '/problems/forbidden',
    title: 'Not permitted',
    status: 403,
    meaning: 'A policy forbids the action, or none permits it: `policyIds` and `reasons` say which and why.',
  },
  {
    type: '/problems/filtered',
    title: 'Refused by the web application firewall',
    status: 403,
    meaning:
      'The request looks like an attack, or too many came from this address. It was blocked before it reached the API.',
  },
  {
    type: '/problems/not-found',
    title: 'Not found',
    status: 404,
    meaning: 'There is no resource with this id, or no operation at this path.',
  },
  {
    type: '/problems/conflict',
    title: 'Conflict',
    status: 409,
    meaning: 'The state of the resource does not allow it; `detail` says why.',
  },
  {
    type: '/problems/refused-by-gate',
    title: 'Refused by a safety rule',
    status: 409,
    meaning:
      '`gate` and `ruleId` name the rule (docs/safety.md), `inputs` what the decision was based on, `until` when to try again.',
  },
  {
    type: '/problems/precondition-failed',
    title: 'Changed in the meantime',
    status: 412,
    meaning: 'Somebody else changed the resource. Get it again, check the change, then decide.',
  },
  {
    type: '/problems/too-large',
    title: 'Too large',
    status: 413,
    meaning: 'The body exceeds `limitBytes`.',
  },
  {
    type: '/problems/unsupported-media-type',
    title: 'Unsupported media type',
    status: 415,
    meaning: 'Send a media type that the operation accepts.',
  },
  {
    type: '/problems/precondition-required',
    title: 'If-Match is required',
    status: 428,
    meaning: 'Get the resource and send its `ETag` as `If-Match`.',
  },
  {
    type: '/problems/too-many-requests',
    title: 'Too many requests',
    status: 429,
    meaning: 'Wait `Retry-After` seconds, then try again.',
  },
  {
    type: '/problems/refused',
    title: 'The request was refused',
    status: 400,
    meaning: 'API Gateway refused the request for a reason that no other type covers.',
  },
  {
    type: '/problems/internal',
    title: 'Internal error',
    status: 500,
    meaning: 'A defect. The logs have the cause under the request id in `instance`.',
  },
  {
    type: '/problems/unavailable',
    title: 'Unavailable',
    status: 503,
    meaning: 'Busy or overloaded. Repeat the same request after `Retry-After` seconds.',
  },
];
