import { auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import { enrollmentOperations, type TokenRequest } from '../../shared/enrollment/operations.ts';
import { findToken, listTokens, putToken, revokeToken, tokenPartition } from '../../shared/enrollment/store.ts';
import { newToken, type TokenLimits, tokenHash } from '../../shared/enrollment/token.ts';
import { viewOf } from '../../shared/enrollment/view.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import { tokenResource } from '../../shared/identity/resource.ts';
import { assertPlace } from '../../shared/places/assert-place.ts';
import { organizationPartition } from '../../shared/places/store.ts';

/** What the operations on enrolment tokens work with. */
export interface Services {
  readonly directory: Table;
  readonly guard: Guard;
}

/** The operations on enrolment tokens. */
export function tokenOperations({ directory, guard }: Services) {
  return {
    listEnrollmentTokens: operation(
      enrollmentOperations.listEnrollmentTokens,
      async ({ caller, query, receivedAt }) => {
        guard.assertReadsSomewhere(caller, receivedAt);
        const list = ['enrollment-tokens'];
        const page = await listTokens(directory, query.limit, startAfter(list, query.cursor));
        const items = page.tokens
          .filter(({ token }) => guard.decide(caller, 'ReadEnrollmentToken', tokenResource(token), receivedAt).allowed)
          .map(({ token }) => viewOf(token, receivedAt));
        return { body: pageBody(list, items, page.next) };
      },
    ),

    createEnrollmentToken: operation(enrollmentOperations.createEnrollmentToken, async (request) => {
      const { caller, body, receivedAt } = request;
      const limits = limitsOf(body, receivedAt);
      const { token, secret } = newToken(limits, actorOf(caller), receivedAt.getTime());
      const resource = tokenResource(token);
      const permit = await guard.permit(caller, 'CreateEnrollmentToken', resource, organizationPartition, receivedAt);
      await assertPlace(directory, limits);
      const hash = tokenHash(secret);
      const audit = auditRecord(tokenPartition(hash), { ...permit, after: { ...limits } }, receivedAt);
      await putToken(directory, hash, token, audit);
      return {
        body: { ...viewOf(token, receivedAt), token: secret },
        headers: { location: `/v1/enrollment-tokens/${token.id}` },
      };
    }),

    getEnrollmentToken: operation(enrollmentOperations.getEnrollmentToken, async ({ caller, path, receivedAt }) => {
      const { token } = await requireToken(directory, parameter(path, 'tokenId'));
      guard.assertMay(caller, 'ReadEnrollmentToken', tokenResource(token), receivedAt);
      return { body: viewOf(token, receivedAt) };
    }),

    revokeEnrollmentToken: operation(enrollmentOperations.revokeEnrollmentToken, async (request) => {
      const { caller, path, receivedAt } = request;
      const { token, hash } = await requireToken(directory, parameter(path, 'tokenId'));
      const partition = tokenPartition(hash);
      const permit = await guard.permit(caller, 'RevokeEnrollmentToken', tokenResource(token), partition, receivedAt);
      await revokeToken(directory, hash, receivedAt.getTime(), auditRecord(partition, permit, receivedAt));
      return {};
    }),
  };
}

async function requireToken(directory: Table, id: string) {
  const found = await findToken(directory, id);
  if (found === undefined) throw problems.notFound('There is no enrolment token with this id.');
  return found;
}

const longestDays = 366;

function limitsOf(body: TokenRequest, now: Date): Partial<TokenLimits> {
  const { siteId, unitId, class: deviceClass, platform, uses, expiresAt, allowUnknown } = body;
  if (expiresAt !== undefined) {
    const ahead = Date.parse(expiresAt) - now.getTime();
    if (!(ahead > 0 && ahead <= longestDays * 86_400_000)) {
      throw problems.invalid('The token would never be valid, or for too long.', [
        { pointer: '/expiresAt', detail: 'must lie in the future, at most a year ahead' },
      ]);
    }
  }
  return {
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined ? {} : { unitId }),
    ...(deviceClass === undefined ? {} : { class: deviceClass }),
    ...(platform === undefined ? {} : { platform }),
    ...(uses === undefined ? {} : { uses }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(allowUnknown === undefined ? {} : { allowUnknown }),
  };
}
