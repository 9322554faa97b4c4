import { Logger } from '@aws-lambda-powertools/logger';
import type {
  APIGatewayAuthorizerResult,
  APIGatewayRequestAuthorizerEvent,
  APIGatewayTokenAuthorizerEvent,
} from 'aws-lambda';
import { requiredEnvironment } from '../../shared/aws/environment.ts';
import { AccessTokens, TokenRefused } from '../../shared/identity/access-token.ts';
import { toContext } from '../../shared/identity/caller.ts';

const logger = new Logger({ serviceName: 'authorize' });

const tokens = new AccessTokens({
  issuers: requiredEnvironment('OIDC_ISSUER').split(/\s+/).filter(Boolean),
  audience: requiredEnvironment('OIDC_AUDIENCE'),
  rolesClaim: requiredEnvironment('ROLES_CLAIM'),
  sitesClaim: requiredEnvironment('SITES_CLAIM'),
});

/**
 * Lambda authorizer of the management API: says who calls. What the caller may do is decided in the function that
 * serves the request, where the resource is known. The error `Unauthorized` makes API Gateway answer 401; any other
 * error (the issuer cannot be reached) 500.
 */
export const handler = async (
  event: APIGatewayTokenAuthorizerEvent | APIGatewayRequestAuthorizerEvent,
): Promise<APIGatewayAuthorizerResult> => {
  try {
    const caller = await tokens.verify(bearerToken(event));
    return {
      principalId: caller.sub,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [{ Action: 'execute-api:Invoke', Effect: 'Allow', Resource: wholeStage(event.methodArn) }],
      },
      context: { ...toContext(caller) },
    };
  } catch (error) {
    if (error instanceof TokenRefused) {
      logger.info('token refused', { reason: error.message });
      throw new Error('Unauthorized');
    }
    logger.error('the issuer could not be asked', { reason: error instanceof Error ? error.message : 'unknown' });
    throw error;
  }
};

/** The answer is cached by token for all routes, so that it must speak for all of them. */
function wholeStage(methodArn: string): string {
  return `${methodArn.split('/').slice(0, 2).join('/')}/*`;
}

function bearerToken(event: APIGatewayTokenAuthorizerEvent | APIGatewayRequestAuthorizerEvent): string {
  const value =
    event.type === 'TOKEN'
      ? event.authorizationToken
      : Object.entries(event.headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
  const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(value?.trim() ?? '')?.[1];
  if (token === undefined) throw new TokenRefused('no bearer token');
  return token;
}
