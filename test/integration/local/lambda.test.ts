import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AwsError, type AwsService, type Json, type Part } from '../../../local/cloud.ts';
import type { TraceEntry } from '../../../local/endpoint/trace.ts';
import { iamPart } from '../../../local/iam/part.ts';
import { lambdaPart } from '../../../local/lambda/part.ts';
import type { Shared } from '../../../local/parts.ts';
import { memoryLog } from '../../../local/runtime/log.ts';
import { type RunningCloud, startLocalCloud } from '../../../local/start.ts';
import { type TinyAssembly, tinyAssembly, tinyFunction } from './tiny-assembly.ts';

/** A service with one operation, `Take`, that counts what took effect. */
function counterPart(taken: string[]): Part {
  const service: AwsService = {
    signingNames: ['kms'],
    resolve: (request) => ({
      operation: 'Take',
      permissions: [{ action: 'kms:Take', resource: 'arn:aws:kms:us-east-1:000000000000:key/k' }],
      execute: async (principal) => {
        taken.push(`${principal.functionName ?? 'root'} ${request.body.toString()}`);
        return { body: '{}', headers: { 'content-type': 'application/json' }, capacityUnits: 1 };
      },
    }),
    error: (error) => ({ status: error.status, body: JSON.stringify({ __type: error.code, message: error.message }) }),
  };
  return { name: 'counter', services: [service] };
}

const signed = `
  const call = async (body) => {
    const response = await fetch(process.env.AWS_ENDPOINT_URL, {
      method: 'POST',
      body,
      headers: {
        authorization: 'AWS4-HMAC-SHA256 Credential=' + process.env.AWS_ACCESS_KEY_ID + '/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=0',
        'x-amz-security-token': process.env.AWS_SESSION_TOKEN,
      },
    });
    return { status: response.status, ...(await response.json()) };
  };
`;

const functions = {
  taker: `${signed} export const handler = async (event) => call(JSON.stringify(event));`,
  outsider: `${signed} export const handler = async (event) => call(JSON.stringify(event));`,
  slow: 'export const handler = () => new Promise((resolve) => setTimeout(resolve, 60_000));',
  thrower: 'export const handler = async () => { throw new TypeError("no such ward"); };',
  environment:
    'export const handler = async (event, context) => ({ env: process.env, name: context.functionName, left: context.getRemainingTimeInMillis() });',
  exiting: 'export const handler = async () => process.exit(1);',
  printing: 'export const handler = async () => { console.log("a line of its own"); return 1; };',
  narrow:
    'let open; export const handler = async (event) => { await new Promise((resolve) => setTimeout(resolve, 300)); return 1; };',
};

const allowTake: Json = { Effect: 'Allow', Action: 'kms:Take', Resource: '*' };

describe('functions of a template', () => {
  let assembly: TinyAssembly;
  let running: RunningCloud;
  const taken: string[] = [];
  const calls: TraceEntry[] = [];
  const log = memoryLog();
  const arn = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`;

  beforeAll(async () => {
    assembly = tinyAssembly(
      {
        ...tinyFunction('taker', [allowTake], { Timeout: 2 }),
        ...tinyFunction('outsider', []),
        ...tinyFunction('slow', [], { Timeout: 1 }),
        ...tinyFunction('thrower', []),
        ...tinyFunction('environment', [], { Environment: { Variables: { DEVICES_TABLE: { Ref: 'AWS::Region' } } } }),
        ...tinyFunction('exiting', []),
        ...tinyFunction('printing', []),
        ...tinyFunction('narrow', [], { ReservedConcurrentExecutions: 1 }),
      },
      functions,
    );
    running = await startLocalCloud({
      port: 0,
      folder: assembly.workFolder,
      assembly: assembly.folder,
      onCall: (entry) => calls.push(entry),
      log,
      parts: ({ roles, lambda }: Shared) => [iamPart(roles), lambdaPart(lambda, roles), counterPart(taken)],
    });
  });

  afterAll(async () => {
    await running.stop();
    assembly.remove();
  });

  beforeEach(() => {
    running.faults.set([]);
    taken.length = 0;
    calls.length = 0;
  });

  test('a call that the role allows is carried out and traced', async () => {
    const result = await running.cloud.functions.invoke(arn('taker'), { n: 1 });

    expect(result.payload).toEqual({ status: 200 });
    expect(taken).toEqual(['taker {"n":1}']);
    expect(calls).toEqual([
      expect.objectContaining({ function: 'taker', service: 'kms', operation: 'Take', units: 1, status: 200 }),
    ]);
  });

  test('a call that no policy allows is denied in the words of AWS', async () => {
    const { payload } = await running.cloud.functions.invoke(arn('outsider'), {});

    expect(payload).toEqual({
      status: 400,
      __type: 'AccessDeniedException',
      message: expect.stringMatching(
        /^User: arn:aws:sts::000000000000:assumed-role\/\S+\/outsider is not authorized to perform: kms:Take on resource: \S+ because no identity-based policy allows the kms:Take action$/,
      ) as string,
    });
    expect(taken).toEqual([]);
    expect(calls[0]?.error).toBe('AccessDeniedException');
  });

  test('a function sees exactly the environment of the template and of the Lambda runtime', async () => {
    const { payload } = await running.cloud.functions.invoke(arn('environment'), {});

    const { env, name, left } = payload as { env: Record<string, string>; name: string; left: number };
    expect(env['DEVICES_TABLE']).toBe('us-east-1');
    expect(env['AWS_LAMBDA_FUNCTION_NAME']).toBe('environment');
    expect(env['HOME']).toBeUndefined();
    expect(name).toBe('environment');
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(5000);
  });

  test('what a handler throws comes back as Lambda gives it', async () => {
    const result = await running.cloud.functions.invoke(arn('thrower'), {});

    expect(result).toMatchObject({
      functionError: 'Unhandled',
      payload: { errorType: 'TypeError', errorMessage: 'no such ward' },
    });
    expect(log.lines).toContainEqual(
      expect.stringMatching(/^warning: thrower: Invoke Error: TypeError: no such ward \(.*thrower\.log\)$/),
    );
  });

  test('a timeout ends the worker and names its limit', async () => {
    const result = await running.cloud.functions.invoke(arn('slow'), {});

    expect(result).toMatchObject({ functionError: 'Unhandled', payload: { errorType: 'Sandbox.Timedout' } });
    expect(JSON.stringify(result.payload)).toContain('Task timed out after 1.00 seconds');
  });

  test('a function that ends its process fails the invocation, and the next one gets a new worker', async () => {
    const first = await running.cloud.functions.invoke(arn('exiting'), {});
    const second = await running.cloud.functions.invoke(arn('exiting'), {});

    expect(first).toMatchObject({ functionError: 'Unhandled', payload: { errorType: 'Runtime.ExitError' } });
    expect(second).toMatchObject({ functionError: 'Unhandled', payload: { errorType: 'Runtime.ExitError' } });
  });

  test('above reserved concurrency the invoker is throttled', async () => {
    const first = running.cloud.functions.invoke(arn('narrow'), {});

    await expect(running.cloud.functions.invoke(arn('narrow'), {})).rejects.toMatchObject({
      code: 'TooManyRequestsException',
      status: 429,
    });
    await expect(first).resolves.toEqual({ payload: 1 });
  });

  test('what a function prints goes to its own log file', async () => {
    await running.cloud.functions.invoke(arn('printing'), {});

    const file = join(assembly.workFolder, 'logs', 'printing.log');
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('a line of its own'));
  });

  test('an injected error code replaces the answer before the call takes effect', async () => {
    running.faults.set([
      { service: 'kms', operation: 'Take', function: 'taker', error: 'ThrottlingException', times: 1 },
    ]);

    const first = await running.cloud.functions.invoke(arn('taker'), {});
    const second = await running.cloud.functions.invoke(arn('taker'), {});

    expect(first.payload).toMatchObject({ status: 400, __type: 'ThrottlingException' });
    expect(second.payload).toEqual({ status: 200 });
    expect(taken).toHaveLength(1);
    expect(calls[0]).toMatchObject({ error: 'ThrottlingException', injected: true });
  });

  test('kill after: the call has taken effect, the function never hears of it', async () => {
    running.faults.set([{ service: 'kms', error: 'kill', when: 'after', times: 1 }]);

    const result = await running.cloud.functions.invoke(arn('taker'), {});

    expect(result.functionError).toBe('Unhandled');
    expect(taken).toHaveLength(1);
  });

  test('kill before: the call never takes effect', async () => {
    running.faults.set([{ service: 'kms', error: 'kill', times: 1 }]);

    const result = await running.cloud.functions.invoke(arn('taker'), {});

    expect(result.functionError).toBe('Unhandled');
    expect(taken).toHaveLength(0);
  });

  test('timeout: no answer comes until the function runs out of time', async () => {
    running.faults.set([{ service: 'kms', error: 'timeout', times: 1 }]);

    const result = await running.cloud.functions.invoke(arn('taker'), {});

    expect(result.payload).toMatchObject({ errorType: 'Sandbox.Timedout' });
    expect(taken).toHaveLength(0);
  });

  test('the fault plan can be set over HTTP', async () => {
    const url = `${running.urls.awsEndpoint.replace('localhost', '127.0.0.1')}/_wardline/faults`;

    const put = await fetch(url, {
      method: 'PUT',
      body: JSON.stringify([{ service: 'kms', error: 'KMSInternalException', status: 500 }]),
    });
    const wrong = await fetch(url, { method: 'PUT', body: JSON.stringify([{ service: 'kms', error: 'x', rate: 2 }]) });
    const { payload } = await running.cloud.functions.invoke(arn('taker'), {});
    const shown = await (await fetch(url)).json();

    expect(put.status).toBe(200);
    expect(wrong.status).toBe(400);
    expect(payload).toMatchObject({ status: 500, __type: 'KMSInternalException' });
    expect(shown).toEqual([{ service: 'kms', error: 'KMSInternalException', status: 500, hits: 1 }]);
  });

  test('a function that does not exist is not found', async () => {
    await expect(running.cloud.functions.invoke(arn('nobody'), {})).rejects.toBeInstanceOf(AwsError);
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within a minute');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
