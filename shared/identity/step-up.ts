import { ProblemError } from '../http/problem.ts';
import type { Caller } from './caller.ts';
import type { Authentication } from './policy-set.ts';

/** Authentication context classes that stand for a second factor (phishing-resistant, its hardware form, and plain). */
const strongClasses = new Set([
  'phr',
  'phrh',
  'mfa',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
  'https://refeds.org/profile/mfa',
]);

/** Methods of RFC 8176 that mean a second factor by themselves: a key that the user had to unlock. */
const strongMethods = new Set(['mfa', 'hwk', 'swk', 'sc']);

/** Stands for "the token does not say when": older than any limit. */
const unknownAge = 2_000_000_000;

/**
 * How the caller signed in. Either `acr` or `amr` proves a second factor; a one-time code counts only beside another
 * method. What the token does not say counts as not done and long ago.
 */
export function authenticationOf(caller: Caller, now: Date): Authentication {
  const strong =
    (caller.acr !== undefined && strongClasses.has(caller.acr)) ||
    caller.amr.some((method) => strongMethods.has(method)) ||
    (caller.amr.includes('otp') && caller.amr.length > 1);
  const age = caller.authTime === undefined ? unknownAge : Math.floor(now.getTime() / 1000) - caller.authTime;
  // A sign-in in the future is a wrong clock beyond the tolerance of the authorizer: not a fresh one.
  return { mfa: strong, signInAgeSeconds: age < -60 ? unknownAge : Math.max(0, age) };
}

/**
 * The challenge of RFC 9470: the client signs the user in again, with a second factor and not longer ago than
 * `maxAgeSeconds`, and repeats the request.
 */
export function stepUpProblem(maxAgeSeconds: number, reason: string, policyIds: readonly string[]): ProblemError {
  // RFC 6750 takes these characters; a hospital writes its reasons in its own language.
  const description = reason.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?');
  return new ProblemError(
    {
      type: '/problems/insufficient-user-authentication',
      title: 'Sign in again',
      status: 401,
      detail: reason,
      policyIds,
      acrValues: ['phr', 'mfa'],
      maxAgeSeconds,
    },
    {
      'www-authenticate': `Bearer error="insufficient_user_authentication", error_description="${description}", acr_values="phr mfa", max_age="${maxAgeSeconds}"`,
    },
  );
}
