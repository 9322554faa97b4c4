import type { DemoUser } from './users.ts';

/** How a demo user signed in. */
export interface SignIn {
  /** With a second factor: a security key in the words of RFC 8176. */
  readonly mfa: boolean;
  /** Seconds since the epoch. */
  readonly authTime: number;
}

/** The authentication context classes that the local provider knows, strongest first (`phr`: phishing-resistant). */
export const acrValues = ['phr', 'pwd'] as const;

/** `acr` of a sign-in. */
export function acrOf(signIn: Pick<SignIn, 'mfa'>): (typeof acrValues)[number] {
  return signIn.mfa ? 'phr' : 'pwd';
}

/** `amr` of a sign-in (RFC 8176). */
export function amrOf(signIn: Pick<SignIn, 'mfa'>): string[] {
  return signIn.mfa ? ['pwd', 'hwk', 'mfa'] : ['pwd'];
}

/** The claims of an access token that say who the user is and may be; `siteIds` are the ids of the user's sites. */
export function userClaims(user: DemoUser, siteIds: readonly string[]) {
  return {
    name: user.displayName,
    roles: [...user.roles],
    sites: user.sites === '*' ? ['*'] : [...siteIds],
    status: user.status,
  };
}
