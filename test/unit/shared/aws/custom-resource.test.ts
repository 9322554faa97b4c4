import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { answerCustomResource } from '../../../../shared/aws/custom-resource.ts';

describe('answerCustomResource', () => {
  let server: Server;
  let status = 200;
  let seen: { method?: string | undefined; headers: IncomingHttpHeaders; body: Record<string, unknown> }[] = [];

  beforeAll(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({
          method: request.method,
          headers: request.headers,
          body: JSON.parse(Buffer.concat(chunks).toString()),
        });
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterAll(() => new Promise((done) => server.close(done)));
  beforeEach(() => {
    status = 200;
    seen = [];
  });

  const event = (extra: object = {}) =>
    ({
      RequestType: 'Create',
      ServiceToken: 'arn',
      ResponseURL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/answer?signature=x`,
      StackId: 'stack',
      RequestId: 'request',
      LogicalResourceId: 'Authority',
      ResourceType: 'Custom::DeviceAuthority',
      ResourceProperties: { ServiceToken: 'arn' },
      ...extra,
    }) as CloudFormationCustomResourceEvent;

  test('puts the attributes to the address of the event, without a content type', async () => {
    await answerCustomResource(event(), async () => ({ physicalResourceId: 'p-1', attributes: { A: '1' } }));
    expect(seen).toMatchObject([
      {
        method: 'PUT',
        body: {
          Status: 'SUCCESS',
          PhysicalResourceId: 'p-1',
          StackId: 'stack',
          RequestId: 'request',
          LogicalResourceId: 'Authority',
          Data: { A: '1' },
        },
      },
    ]);
    expect(seen[0]?.headers['content-type'] ?? '').toBe('');
  });

  test('a failure is answered with its reason, and keeps the name of what exists', async () => {
    const fail = async () => {
      throw new Error('no such key');
    };
    await answerCustomResource(event(), fail);
    await answerCustomResource(event({ RequestType: 'Update', PhysicalResourceId: 'p-1' }), fail);
    expect(seen.map(({ body }) => body)).toMatchObject([
      { Status: 'FAILED', Reason: 'Error: no such key', PhysicalResourceId: 'Authority-failed' },
      { Status: 'FAILED', PhysicalResourceId: 'p-1' },
    ]);
  });

  test('throws when the answer is not taken, so that it is tried again', async () => {
    status = 503;
    await expect(
      answerCustomResource(event(), async () => ({ physicalResourceId: 'p', attributes: {} })),
    ).rejects.toThrow('HTTP 503');
  });
});
