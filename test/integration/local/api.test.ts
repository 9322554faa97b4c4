import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { httpApiPart } from '../../../local/api/http-api-part.ts';
import { restApiPart } from '../../../local/api/rest-api-part.ts';
import type { AwsService, Json, Part } from '../../../local/cloud.ts';
import { iamPart } from '../../../local/iam/part.ts';
import { lambdaPart } from '../../../local/lambda/part.ts';
import { type RunningCloud, startLocalCloud } from '../../../local/start.ts';
import { type TinyAssembly, tinyAssembly, tinyFunction } from './tiny-assembly.ts';

const functions = {
  echo: 'export const handler = async (event) => ({ statusCode: 200, headers: { "content-type": "application/json" }, body: JSON.stringify(event) });',
  doorman: `export const handler = async (event) => {
    const name = event.authorizationToken.slice('Bearer '.length);
    if (name === 'nobody') throw new Error('Unauthorized');
    if (name === 'broken') throw new Error('out of order');
    if (name === 'shapeless') return {};
    const [api, stage] = event.methodArn.split('/');
    return {
      principalId: name,
      context: { asked: ++asked, admin: true },
      policyDocument: { Version: '2012-10-17', Statement: [
        { Effect: 'Allow', Action: 'execute-api:Invoke', Resource: api + '/' + stage + '/*/things/*' },
        { Effect: 'Deny', Action: 'execute-api:Invoke', Resource: api + '/' + stage + '/*/things/secret' },
      ] },
    };
  };
  let asked = 0;`,
  odd: 'export const handler = async () => ({ body: 7 });',
};

const rest = (type: string, properties: Record<string, Json>) => ({
  Type: `AWS::ApiGateway::${type}`,
  Properties: type === 'RestApi' ? properties : { RestApiId: { Ref: 'Rest' }, ...properties },
});
const http = (type: string, properties: Record<string, Json>) => ({
  Type: `AWS::ApiGatewayV2::${type}`,
  Properties: properties,
});
const invocation = (name: string): Json => ({
  'Fn::Join': [
    '',
    ['arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/', { 'Fn::GetAtt': [name, 'Arn'] }, '/invocations'],
  ],
});
const permission = (name: string, sourceArn: Json) => ({
  Type: 'AWS::Lambda::Permission',
  Properties: {
    Action: 'lambda:InvokeFunction',
    FunctionName: { 'Fn::GetAtt': [name, 'Arn'] },
    Principal: 'apigateway.amazonaws.com',
    SourceArn: sourceArn,
  },
});
const source = (api: string, rest: string): Json => ({
  'Fn::Join': ['', ['arn:aws:execute-api:us-east-1:000000000000:', { Ref: api }, rest]],
});
const method = (resource: string, name: string, extra: Record<string, Json> = {}) =>
  rest('Method', {
    ResourceId: { Ref: resource },
    HttpMethod: 'POST',
    AuthorizationType: 'NONE',
    Integration: { Type: 'AWS_PROXY', IntegrationHttpMethod: 'POST', Uri: invocation(name) },
    ...extra,
  });

const resources = {
  ...tinyFunction('echo', []),
  ...tinyFunction('doorman', []),
  ...tinyFunction('odd', []),
  EchoMayRest: permission('echo', source('Rest', '/v1/*/*')),
  OddMayRest: permission('odd', source('Rest', '/v1/*/*')),
  DoormanMay: permission('doorman', source('Rest', '/authorizers/*')),
  EchoMayDevice: permission('echo', source('Device', '/*/*/v1/checkin')),
  EchoMayEnroll: permission('echo', source('Enroll', '/*/*/*')),

  Rest: rest('RestApi', { Name: 'tiny' }),
  Model: rest('Model', {
    ContentType: 'application/json',
    Schema: {
      $schema: 'http://json-schema.org/draft-04/schema#',
      type: 'object',
      required: ['name'],
      properties: { age: { type: 'integer', minimum: 0, exclusiveMinimum: true } },
    },
  }),
  Validator: rest('RequestValidator', { ValidateRequestBody: true, ValidateRequestParameters: true }),
  Doorkeeper: rest('Authorizer', {
    Name: 'doorkeeper',
    Type: 'TOKEN',
    AuthorizerUri: invocation('doorman'),
    IdentitySource: 'method.request.header.Authorization',
    IdentityValidationExpression: '^Bearer \\w+$',
    AuthorizerResultTtlInSeconds: 60,
  }),
  NotFound: rest('GatewayResponse', {
    ResponseType: 'MISSING_AUTHENTICATION_TOKEN',
    StatusCode: '404',
    ResponseParameters: { 'gatewayresponse.header.Content-Type': "'application/problem+json'" },
    ResponseTemplates: { 'application/json': '{"title":"Not found","said":$context.error.messageString}' },
  }),
  Open: rest('Resource', { ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] }, PathPart: 'open' }),
  OpenPost: method('Open', 'echo'),
  Odd: rest('Resource', { ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] }, PathPart: 'odd' }),
  OddPost: method('Odd', 'odd'),
  Checked: rest('Resource', { ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] }, PathPart: 'checked' }),
  CheckedPost: method('Checked', 'echo', {
    RequestValidatorId: { Ref: 'Validator' },
    RequestModels: { 'application/json': { Ref: 'Model' } },
    RequestParameters: { 'method.request.querystring.site': true, 'method.request.querystring.unit': false },
  }),
  Things: rest('Resource', { ParentId: { 'Fn::GetAtt': ['Rest', 'RootResourceId'] }, PathPart: 'things' }),
  Thing: rest('Resource', { ParentId: { Ref: 'Things' }, PathPart: '{id}' }),
  ThingPost: method('Thing', 'echo', { AuthorizationType: 'CUSTOM', AuthorizerId: { Ref: 'Doorkeeper' } }),
  ThingsPost: method('Things', 'echo', { AuthorizationType: 'CUSTOM', AuthorizerId: { Ref: 'Doorkeeper' } }),
  Deployment: rest('Deployment', {}),
  V1: rest('Stage', { StageName: 'v1', DeploymentId: { Ref: 'Deployment' } }),

  Device: http('Api', { Name: 'device', ProtocolType: 'HTTP', DisableExecuteApiEndpoint: true }),
  DeviceEcho: http('Integration', {
    ApiId: { Ref: 'Device' },
    IntegrationType: 'AWS_PROXY',
    IntegrationUri: { 'Fn::GetAtt': ['echo', 'Arn'] },
    PayloadFormatVersion: '2.0',
  }),
  CheckIn: http('Route', {
    ApiId: { Ref: 'Device' },
    RouteKey: 'POST /v1/checkin',
    Target: { 'Fn::Join': ['/', ['integrations', { Ref: 'DeviceEcho' }]] },
  }),
  Locked: http('Route', {
    ApiId: { Ref: 'Device' },
    RouteKey: 'POST /v1/locked',
    Target: { 'Fn::Join': ['/', ['integrations', { Ref: 'DeviceEcho' }]] },
  }),
  DeviceStage: http('Stage', { ApiId: { Ref: 'Device' }, StageName: '$default', AutoDeploy: true }),
  Domain: http('DomainName', {
    DomainName: 'devices.tiny.localhost',
    MutualTlsAuthentication: { TruststoreUri: 's3://trust/truststore.pem', TruststoreVersion: '1' },
  }),
  Mapping: http('ApiMapping', {
    ApiId: { Ref: 'Device' },
    DomainName: { Ref: 'Domain' },
    Stage: { Ref: 'DeviceStage' },
  }),

  Enroll: http('Api', { Name: 'enroll', ProtocolType: 'HTTP' }),
  EnrollEcho: http('Integration', {
    ApiId: { Ref: 'Enroll' },
    IntegrationType: 'AWS_PROXY',
    IntegrationUri: { 'Fn::GetAtt': ['echo', 'Arn'] },
    PayloadFormatVersion: '2.0',
  }),
  Est: http('Route', {
    ApiId: { Ref: 'Enroll' },
    RouteKey: 'ANY /est/{proxy+}',
    Target: { 'Fn::Join': ['/', ['integrations', { Ref: 'EnrollEcho' }]] },
  }),
  EnrollStage: http('Stage', { ApiId: { Ref: 'Enroll' }, StageName: '$default', AutoDeploy: true }),
};

let assembly: TinyAssembly;
let running: RunningCloud;

/** A client certificate made by openssl, and the self-signed authority that issued it. */
function makeClient(folder: string, name: string): { ca: string; cert: string; key: string } {
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}-ca.key`,
    '-out',
    `${name}-ca.pem`,
    '-days',
    '2',
    '-subj',
    `/CN=${name} CA`,
  );
  openssl(
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
    '-subj',
    `/O=Ward/CN=${name}`,
  );
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${name}-ca.pem`,
    '-CAkey',
    `${name}-ca.key`,
    '-CAcreateserial',
    '-out',
    `${name}.pem`,
    '-days',
    '1',
  );
  const read = (file: string) => readFileSync(join(folder, file), 'utf8');
  return { ca: read(`${name}-ca.pem`), cert: read(`${name}.pem`), key: read(`${name}.key`) };
}

interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

function https(
  port: number,
  path: string,
  body: string | Buffer,
  headers: Record<string, string>,
  client: { cert?: string; key?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        headers,
        servername: 'localhost',
        ca: readFileSync(running.urls.ca),
        agent: false,
        cert: client.cert,
        key: client.key,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const post = async (path: string, body: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`http://127.0.0.1:${running.ports.api}${path}`, { method: 'POST', body, headers });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as Record<string, never>),
  };
};

let mine: { ca: string; cert: string; key: string };
let foreign: { ca: string; cert: string; key: string };

beforeAll(async () => {
  assembly = tinyAssembly(resources, functions);
  mine = makeClient(assembly.folder, 'mine');
  foreign = makeClient(assembly.folder, 'foreign');
  const s3: AwsService = {
    signingNames: ['s3'],
    resolve: () => ({ operation: 'GetObject', permissions: [], execute: async () => ({ body: mine.ca }) }),
    error: (error) => ({ status: error.status }),
  };
  const truststore: Part = { name: 'truststore', services: [s3] };
  running = await startLocalCloud({
    port: 0,
    folder: assembly.workFolder,
    assembly: assembly.folder,
    parts: ({ roles, lambda }) => [iamPart(roles), lambdaPart(lambda, roles), truststore, httpApiPart(), restApiPart()],
  });
});

afterAll(async () => {
  await running?.stop();
  assembly?.remove();
});

describe('REST API', () => {
  test('a function gets the event of the Lambda proxy integration', async () => {
    const { status, body } = await post('/v1/open?a=1&a=2', '{"x":1}', {
      'content-type': 'application/json',
      'X-Ward': '7',
    });

    expect(status).toBe(200);
    expect(body).toMatchObject({
      resource: '/open',
      path: '/open',
      httpMethod: 'POST',
      queryStringParameters: { a: '2' },
      multiValueQueryStringParameters: { a: ['1', '2'] },
      body: '{"x":1}',
      isBase64Encoded: false,
      requestContext: { stage: 'v1', path: '/v1/open', resourcePath: '/open' },
    });
  });

  test('what no route serves is answered by the gateway response of the template', async () => {
    const { status, headers, body } = await post('/v1/nowhere', '');

    expect(status).toBe(404);
    expect(headers.get('content-type')).toBe('application/problem+json');
    expect(body).toEqual({ title: 'Not found', said: 'Missing Authentication Token' });
  });

  test('an unknown stage is forbidden', async () => {
    await expect(post('/v2/open', '')).resolves.toMatchObject({ status: 403, body: { message: 'Forbidden' } });
  });

  test('request validation: required parameters and the model', async () => {
    const json = { 'content-type': 'application/json' };

    await expect(post('/v1/checked', '{"name":"x"}', json)).resolves.toMatchObject({
      status: 400,
      body: { message: 'Missing required request parameters: [site]' },
    });
    await expect(post('/v1/checked?site=s', '{}', json)).resolves.toMatchObject({
      status: 400,
      body: { message: 'Invalid request body' },
    });
    await expect(post('/v1/checked?site=s', 'no json', json)).resolves.toMatchObject({ status: 400 });
    await expect(post('/v1/checked?site=s', '{"name":"x","age":0}', json)).resolves.toMatchObject({ status: 400 });
    await expect(post('/v1/checked?site=s', '{"name":"x","age":1}', json)).resolves.toMatchObject({ status: 200 });
  });

  test('the authorizer: missing, malformed, refused, denied, broken, allowed', async () => {
    const as = (name: string, path = '/v1/things/pump') => post(path, '', { authorization: `Bearer ${name}` });

    await expect(post('/v1/things/pump', '')).resolves.toMatchObject({
      status: 401,
      body: { message: 'Unauthorized' },
    });
    await expect(as('not a token')).resolves.toMatchObject({ status: 401 });
    await expect(as('nobody')).resolves.toMatchObject({ status: 401 });
    await expect(as('broken')).resolves.toMatchObject({ status: 500 });
    await expect(as('shapeless')).resolves.toMatchObject({ status: 500 });
    await expect(as('ada', '/v1/things/secret')).resolves.toMatchObject({
      status: 403,
      body: {
        message: 'User is not authorized to access this resource with an explicit deny in an identity-based policy',
      },
    });
    await expect(as('ada', '/v1/things')).resolves.toMatchObject({ status: 403 });
    const allowed = await as('ada');
    expect(allowed.status).toBe(200);
    // The three requests of this identity have asked the function once: its answer was kept.
    expect(allowed.body).toMatchObject({ requestContext: { authorizer: { principalId: 'ada', admin: 'true' } } });
    const again = await as('ada');
    expect((again.body as unknown as { requestContext: { authorizer: unknown } }).requestContext.authorizer).toEqual(
      (allowed.body as unknown as { requestContext: { authorizer: unknown } }).requestContext.authorizer,
    );
  });

  test('a result that is not a proxy response is a bad gateway', async () => {
    await expect(post('/v1/odd', '')).resolves.toMatchObject({
      status: 502,
      body: { message: 'Internal server error' },
    });
  });
});

describe('HTTP API behind client certificates', () => {
  test('the function sees the certificate of the connection', async () => {
    const reply = await https(running.ports.device, '/v1/checkin', '{}', { 'content-type': 'application/json' }, mine);

    expect(reply.status).toBe(200);
    const event = JSON.parse(reply.body) as {
      requestContext: { authentication: { clientCert: Record<string, string> } };
    };
    expect(reply.headers['apigw-requestid']).toMatch(/^[0-9a-f-]{36}$/);
    expect(event).toMatchObject({
      requestContext: { requestId: reply.headers['apigw-requestid'] },
      version: '2.0',
      routeKey: 'POST /v1/checkin',
      rawPath: '/v1/checkin',
      body: '{}',
      isBase64Encoded: false,
    });
    const { clientCert } = event.requestContext.authentication;
    expect(clientCert['subjectDN']).toBe('CN=mine,O=Ward');
    expect(clientCert['issuerDN']).toBe('CN=mine CA');
    expect(clientCert['clientCertPem']?.trim()).toBe(mine.cert.trim());
    expect(clientCert['serialNumber']).toMatch(/^([0-9a-f]{2}:)+[0-9a-f]{2}$/);
  });

  test('no certificate, or one of another authority, fails in the handshake', async () => {
    await expect(https(running.ports.device, '/v1/checkin', '{}', {})).rejects.toThrow(/alert|ECONNRESET|hang up/);
    await expect(https(running.ports.device, '/v1/checkin', '{}', {}, foreign)).rejects.toThrow(
      /alert|ECONNRESET|hang up/,
    );
  });

  test('a route whose function does not permit API Gateway is an error, not an open door', async () => {
    await expect(https(running.ports.device, '/v1/locked', '{}', {}, mine)).resolves.toMatchObject({ status: 500 });
  });

  test('limits: 10,240 bytes of headers, 10 MB of body', async () => {
    const long = { 'x-long': 'a'.repeat(10_300) };

    await expect(https(running.ports.device, '/v1/checkin', '{}', long, mine)).resolves.toMatchObject({ status: 431 });
    await expect(
      https(running.ports.device, '/v1/checkin', Buffer.alloc(10 * 1024 * 1024 + 1), {}, mine),
    ).resolves.toMatchObject({
      status: 413,
      body: '{"message":"Request Entity Too Large"}',
    });
  });
});

describe('HTTP API with a default endpoint', () => {
  test('needs no client certificate; a body that is not text arrives in base64', async () => {
    const reply = await https(running.ports.enroll, '/est/simpleenroll', 'MIIB', {
      'content-type': 'application/pkcs10',
    });

    expect(JSON.parse(reply.body)).toMatchObject({
      routeKey: 'ANY /est/{proxy+}',
      pathParameters: { proxy: 'simpleenroll' },
      body: Buffer.from('MIIB').toString('base64'),
      isBase64Encoded: true,
    });
  });

  test('another path is not found', async () => {
    await expect(https(running.ports.enroll, '/v1/checkin', '', {})).resolves.toMatchObject({
      status: 404,
      body: '{"message":"Not Found"}',
    });
  });
});
