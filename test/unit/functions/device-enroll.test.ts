import { DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import { mockClient } from 'aws-sdk-client-mock';
import { tokenHash } from '../../../shared/enrollment/token.ts';
import { testAuthority } from '../../support/pki.ts';

type Handler = typeof import('../../../functions/device-enroll/handler.ts').handler;

const table = mockClient(DynamoDBDocumentClient);
const secret = `wle_${'x'.repeat(43)}`;

describe('device-enroll', () => {
  let handler: Handler;
  const environment = { ...process.env };

  beforeAll(async () => {
    const { certificate } = await testAuthority();
    Object.assign(process.env, {
      AWS_REGION: 'us-east-1',
      DEVICES_TABLE: 'Devices',
      DIRECTORY_TABLE: 'Directory',
      IOT_POLICY_NAME: 'policy',
      IOT_THING_TYPE: 'type',
      CA_KEY_ID: 'key',
      DEVICE_CA_CERTIFICATE: certificate.pem,
      CERTIFICATE_DAYS: '30',
      POWERTOOLS_DEV: 'true',
    });
    ({ handler } = await import('../../../functions/device-enroll/handler.ts'));
  });
  afterAll(() => {
    process.env = environment;
  });
  const printed: string[] = [];
  beforeEach(() => {
    table.reset();
    printed.length = 0;
    for (const level of ['info', 'warn', 'error'] as const) {
      jest.spyOn(console, level).mockImplementation((line: unknown) => void printed.push(String(line)));
    }
  });
  afterEach(() => jest.restoreAllMocks());

  const call = (operation: string, extra: object = {}) =>
    handler({
      routeKey: `POST /.well-known/est/${operation}`,
      rawPath: `/.well-known/est/${operation}`,
      headers: { authorization: `Basic ${Buffer.from(`x:${secret}`).toString('base64')}` },
      requestContext: {},
      isBase64Encoded: false,
      ...extra,
    } as unknown as Parameters<Handler>[0]);

  test('serves cacerts without asking anything', async () => {
    expect(await call('cacerts')).toMatchObject({ statusCode: 200, isBase64Encoded: false });
    expect(table.calls()).toHaveLength(0);
  });

  test('takes the body as API Gateway gives it: base64 of the base64, for a type that it does not know', async () => {
    table.on(GetCommand).resolves({ Item: { id: 't-1', uses: 1, used: 0, expiresAt: '2999-01-01T00:00:00.000Z' } });
    table.on(PutCommand).resolves({});
    const body = Buffer.from('bm90IGEgcmVxdWVzdA==').toString('base64');
    const answer = await call('simpleenroll', { body, isBase64Encoded: true });
    expect(answer).toMatchObject({ statusCode: 400, body: expect.stringMatching(/PKCS#10/) });
    expect(table.commandCalls(GetCommand)[0]?.args[0].input.Key).toMatchObject({ pk: `TOKEN#${tokenHash(secret)}` });
    expect(table.commandCalls(PutCommand)[0]?.args[0].input.Item).toMatchObject({
      outcome: 'refused',
      resource: 'token/t-1',
    });
    expect(printed.join()).not.toContain(secret);
  });

  test('a failure behind it is 503 with Retry-After: no stack, no cause in the answer, the cause in the log', async () => {
    table.on(GetCommand).rejects(Object.assign(new Error('table on fire'), { name: 'TableOnFire', $metadata: {} }));
    const answer = await call('simpleenroll', { body: 'AAAA' });
    expect(answer).toEqual({
      statusCode: 503,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', 'retry-after': '30' },
      body: 'The request could not be served now. Ask again later.\n',
      isBase64Encoded: false,
    });
    expect(printed.join()).toContain('table on fire');
    expect(printed.join()).not.toContain(secret);
  });

  test('what is not an error of AWS may repeat input: the log has its name and place, not its words', async () => {
    table.on(GetCommand).rejects(new RangeError(`cannot read ${secret}`));
    expect(await call('simpleenroll', { body: 'AAAA' })).toMatchObject({ statusCode: 503 });
    expect(printed.join()).toMatch(/"error":\s*"RangeError".*"stack"/s);
    expect(printed.join()).not.toContain(secret);
  });

  test('an operation that it does not have is 404; renewal without client certificate is 403', async () => {
    for (const name of ['fullcmc', 'constructor', '__proto__', '']) {
      expect(await call(name)).toMatchObject({ statusCode: 404 });
    }
    expect(await call('simplereenroll', { body: '' })).toMatchObject({ statusCode: 403 });
  });
});
