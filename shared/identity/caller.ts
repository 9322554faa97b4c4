import * as v from 'valibot';

/** The roles that the shipped policies know. A token may carry others; they give nothing until a policy names them. */
export const Role = {
  Administrator: 'administrator',
  Security: 'security',
  SiteIt: 'site-it',
  Biomed: 'biomed',
  HelpDesk: 'help-desk',
  Auditor: 'auditor',
} as const;
export type Role = (typeof Role)[keyof typeof Role];

/** In the sites claim: all sites, and what belongs to no site. */
export const everySite = '*';

/** The person or program behind a request, as the verified access token describes it. */
export interface Caller {
  /** The issuer's identifier of the user; unique together with the issuer. */
  readonly sub: string;
  /** Role names out of the token, known or not. */
  readonly roles: readonly string[];
  /** Ids of the sites that the caller may act on; `*` among them means everywhere. */
  readonly sites: readonly string[];
  /** Anything but `active` is denied everything. */
  readonly status: string;
  /** Authentication context class (RFC 9470), when the issuer says it. */
  readonly acr?: string;
  /** Authentication methods (RFC 8176), possibly empty. */
  readonly amr: readonly string[];
  /** When the user last proved who they are, seconds since the epoch. */
  readonly authTime?: number;
}

/** What a Lambda authorizer may hand to the functions: API Gateway passes on flat values only. */
export type CallerContext = Readonly<Record<string, string | number>>;

const JsonStrings = v.pipe(v.string(), v.parseJson(), v.array(v.string()));
const ContextSchema = v.object({
  sub: v.pipe(v.string(), v.nonEmpty()),
  roles: JsonStrings,
  sites: JsonStrings,
  status: v.string(),
  acr: v.optional(v.string()),
  amr: JsonStrings,
  // API Gateway turns numbers of the context into strings.
  authTime: v.optional(v.pipe(v.union([v.string(), v.number()]), v.toNumber(), v.finite())),
});

/** The caller as an authorizer context; lists as JSON, because group names of an identity provider may hold any character. */
export function toContext(caller: Caller): CallerContext {
  return {
    sub: caller.sub,
    roles: JSON.stringify(caller.roles),
    sites: JSON.stringify(caller.sites),
    status: caller.status,
    amr: JSON.stringify(caller.amr),
    ...(caller.acr === undefined ? {} : { acr: caller.acr }),
    ...(caller.authTime === undefined ? {} : { authTime: caller.authTime }),
  };
}

/** The caller out of `requestContext.authorizer`; undefined when no authorizer spoke, which must be treated as not signed in. */
export function fromContext(context: unknown): Caller | undefined {
  const result = v.safeParse(ContextSchema, context);
  if (!result.success) return undefined;
  const { acr, authTime, ...rest } = result.output;
  return { ...rest, ...(acr === undefined ? {} : { acr }), ...(authTime === undefined ? {} : { authTime }) };
}

/**
 * The sites that a list is limited to, sorted: the caller's, or the one that is asked for if it is theirs. Undefined: all.
 * What the caller may not see is so not even read.
 */
export function listedSites(
  { sites }: Pick<Caller, 'sites'>,
  asked: string | undefined,
): readonly string[] | undefined {
  const own = sites.includes(everySite) ? undefined : [...new Set(sites)].sort();
  if (asked === undefined) return own;
  return own === undefined || own.includes(asked) ? [asked] : [];
}

/** How the caller is named in audit records and command histories. */
export function actorOf(caller: Caller): string {
  return `user:${caller.sub}`;
}
