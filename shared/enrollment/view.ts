import { TokenState, type TokenView } from './operations.ts';
import type { EnrollmentToken } from './token.ts';

/** A token as the API shows it at the time `now`. */
export function viewOf(token: EnrollmentToken, now: Date): TokenView {
  const { id, siteId, unitId, class: deviceClass, platform, uses, used, allowUnknown, expiresAt, revokedAt } = token;
  return {
    id,
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined ? {} : { unitId }),
    ...(deviceClass === undefined ? {} : { class: deviceClass }),
    ...(platform === undefined ? {} : { platform }),
    uses,
    used,
    allowUnknown,
    expiresAt,
    createdAt: token.createdAt,
    createdBy: token.createdBy,
    ...(revokedAt === undefined ? {} : { revokedAt }),
    state: stateOf(token, now),
  };
}

function stateOf(token: EnrollmentToken, now: Date): TokenState {
  if (token.revokedAt !== undefined) return TokenState.Revoked;
  if (token.used >= token.uses) return TokenState.UsedUp;
  return Date.parse(token.expiresAt) <= now.getTime() ? TokenState.Expired : TokenState.Active;
}
