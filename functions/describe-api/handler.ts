import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';
import { openApiDocument } from '../../shared/api/document.ts';

/**
 * The OpenAPI document, for anybody: tools read it before there is a token. The server is given relative to where the
 * document was read from, which is right wherever the API is.
 */
export const handler = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => ({
  statusCode: 200,
  headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' },
  body: JSON.stringify(openApiDocument(`/${event.requestContext.stage}`)),
});
