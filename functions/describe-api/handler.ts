import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import { openApiDocument } from '../../shared/api/document.ts';

/** The OpenAPI document, for anybody: tools read it before there is a token. Needs nothing but the event. */
export const handler = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' },
  body: JSON.stringify(openApiDocument(serverUrl(event))),
});

/** Where the client reached us, so that tools can call what they have read. */
function serverUrl({ requestContext }: APIGatewayProxyEvent): string {
  const { domainName, stage } = requestContext;
  if (domainName === undefined) return `/${stage}`;
  const loopback = /^(localhost|127\.0\.0\.1)(:|$)/.test(domainName);
  return `${loopback ? 'http' : 'https'}://${domainName}/${stage}`;
}
