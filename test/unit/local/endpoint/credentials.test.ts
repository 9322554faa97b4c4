import type { AwsRequest } from '../../../../local/cloud.ts';
import { credentialScope } from '../../../../local/endpoint/credentials.ts';

const request = (headers: Record<string, string>, query = ''): AwsRequest => ({
  method: 'GET',
  path: '/',
  query: new URLSearchParams(query),
  headers,
  body: Buffer.alloc(0),
});

test('the scope of the Authorization header', () => {
  const authorization =
    'AWS4-HMAC-SHA256 Credential=ASIA1/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=ff';

  expect(credentialScope(request({ authorization, 'x-amz-security-token': 't' }))).toEqual({
    accessKey: 'ASIA1',
    service: 'dynamodb',
    sessionToken: 't',
  });
});

test('the scope of a presigned URL', () => {
  const query = 'X-Amz-Credential=ASIA1%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Security-Token=t';

  expect(credentialScope(request({}, query))).toEqual({ accessKey: 'ASIA1', service: 's3', sessionToken: 't' });
});

test.each([{}, { authorization: 'Bearer x' }, { authorization: 'AWS4-HMAC-SHA256 Credential=a/b/c' }])(
  'not signed: %j',
  (headers) => {
    expect(credentialScope(request(headers as Record<string, string>))).toBeUndefined();
  },
);
