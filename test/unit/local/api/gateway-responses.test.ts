import { readGatewayResponse, refuse } from '../../../../local/api/gateway-responses.ts';

test('without a response of the template API Gateway says its own', () => {
  const answer = refuse({ type: 'UNAUTHORIZED' }, new Map(), 'r-1');

  expect(answer.status).toBe(401);
  expect(answer.body.toString()).toBe('{"message":"Unauthorized"}');
});

test('status, headers and template of the response; variables are filled in', () => {
  const responses = new Map([
    [
      'BAD_REQUEST_BODY',
      readGatewayResponse({
        StatusCode: '422',
        ResponseParameters: { 'gatewayresponse.header.Content-Type': "'application/problem+json'" },
        ResponseTemplates: {
          'application/json': '{"title":$context.error.messageString,"detail":"$context.error.validationErrorString"}',
        },
      }),
    ],
  ]);

  const answer = refuse({ type: 'BAD_REQUEST_BODY', validationError: '[x]' }, responses, 'r-1');

  expect(answer.status).toBe(422);
  expect(answer.headers).toContainEqual(['Content-Type', 'application/problem+json']);
  expect(answer.body.toString()).toBe('{"title":"Invalid request body","detail":"[x]"}');
});

test('the response of the class stands in, with the status of the refusal', () => {
  const responses = new Map([
    ['DEFAULT_4XX', readGatewayResponse({ ResponseTemplates: { 'application/json': '{}' } })],
  ]);

  expect(refuse({ type: 'ACCESS_DENIED' }, responses, 'r')).toMatchObject({ status: 403, body: Buffer.from('{}') });
  expect(refuse({ type: 'INTEGRATION_TIMEOUT' }, responses, 'r').status).toBe(504);
});

test('a mapping expression that is not known is an error', () => {
  expect(() => readGatewayResponse({ ResponseTemplates: { 'application/json': '$util.escape()' } })).toThrow(
    'is not known',
  );
  expect(() =>
    readGatewayResponse({ ResponseParameters: { 'gatewayresponse.header.X': 'method.request.header.X' } }),
  ).toThrow('is not known');
});
