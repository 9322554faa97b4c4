/** A person of the demo hospital network who can sign in to the local OpenID provider. */
export interface DemoUser {
  /** User name, also the `sub` of the tokens. */
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly string[];
  /** `*`, or names of sites; tokens carry the ids that these sites have when the token is issued. */
  readonly sites: '*' | readonly string[];
  readonly status: 'active' | 'suspended';
}

/** The hospital of the demo network that the site-limited demo users work at. */
export const homeSite = 'Linden Park Hospital';

/**
 * One user for each role, a second administrator and a biomedical engineer of the whole network for what takes two people,
 * an administrator who is limited to a hospital, and one whose account is suspended.
 */
export const demoUsers: readonly DemoUser[] = [
  { name: 'ada.admin', displayName: 'Ada, administrator', roles: ['administrator'], sites: '*', status: 'active' },
  { name: 'ben.admin', displayName: 'Ben, administrator', roles: ['administrator'], sites: '*', status: 'active' },
  {
    name: 'lea.admin',
    displayName: 'Lea, administrator of one hospital',
    roles: ['administrator'],
    sites: [homeSite],
    status: 'active',
  },
  { name: 'ida.it', displayName: 'Ida, site IT', roles: ['site-it'], sites: [homeSite], status: 'active' },
  {
    name: 'bea.biomed',
    displayName: 'Bea, biomedical engineer',
    roles: ['biomed'],
    sites: [homeSite],
    status: 'active',
  },
  {
    name: 'bob.biomed',
    displayName: 'Bob, head of biomedical engineering',
    roles: ['biomed'],
    sites: '*',
    status: 'active',
  },
  { name: 'sue.security', displayName: 'Sue, security', roles: ['security'], sites: '*', status: 'active' },
  { name: 'hal.helpdesk', displayName: 'Hal, help desk', roles: ['help-desk'], sites: [homeSite], status: 'active' },
  { name: 'amy.auditor', displayName: 'Amy, auditor', roles: ['auditor'], sites: '*', status: 'active' },
  {
    name: 'ehr.integration',
    displayName: 'Interface engine of the EHR',
    roles: ['integration'],
    sites: '*',
    status: 'active',
  },
  { name: 'sid.suspended', displayName: 'Sid, suspended', roles: ['administrator'], sites: '*', status: 'suspended' },
];

/** The demo user with this name, however it is capitalized. */
export function findUser(name: string): DemoUser | undefined {
  const wanted = name.trim().toLowerCase();
  return demoUsers.find((user) => user.name === wanted);
}
