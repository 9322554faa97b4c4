import type { DeliverOptions, Json, Part } from '../../../local/cloud.ts';
import { CustomResources } from '../../../local/cloudformation/custom-resource.ts';
import { iamPart } from '../../../local/iam/part.ts';
import { lambdaPart } from '../../../local/lambda/part.ts';
import { memoryLog } from '../../../local/runtime/log.ts';
import type { LocalCloudOptions, RunningCloud } from '../../../local/start.ts';
import { startLocalCloud } from '../../../local/start.ts';
import { type TinyAssembly, tinyAssembly, tinyFunction } from './tiny-assembly.ts';

const functions = {
  failing: 'export const handler = async (event) => { throw new Error("attempt for " + event.n); };',
  succeeding: 'export const handler = async (event) => ({ doubled: event.n * 2 });',
  clock: 'export const handler = async () => Date.now();',
  provider: `export const handler = async (event) => {
    const { RequestType, ResponseURL, ResourceProperties, OldResourceProperties, PhysicalResourceId } = event;
    if (ResourceProperties.Mode === 'throw') throw new Error('cannot');
    const failed = ResourceProperties.Mode === 'refuse';
    await fetch(ResponseURL, { method: 'PUT', body: JSON.stringify({
      Status: failed ? 'FAILED' : 'SUCCESS', Reason: failed ? 'no such zone' : undefined,
      PhysicalResourceId: PhysicalResourceId ?? 'physical-1', RequestId: event.RequestId, StackId: event.StackId, LogicalResourceId: event.LogicalResourceId,
      Data: { Calls: RequestType + ':' + (OldResourceProperties?.Size ?? '-') + '>' + ResourceProperties.Size },
    }) });
  };`,
};

const queue = (name: string) => `arn:aws:sqs:us-east-1:000000000000:${name}`;
const maySend: Json = {
  Effect: 'Allow',
  Action: 'sqs:SendMessage',
  Resource: [queue('dead'), queue('failed'), queue('done')],
};
const arn = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`;

interface Delivered {
  readonly target: string;
  readonly message: Json;
  readonly options: DeliverOptions;
}

async function start(
  assembly: TinyAssembly,
  delivered: Delivered[],
  options: LocalCloudOptions = {},
): Promise<RunningCloud> {
  const queues: Part = {
    name: 'queues',
    attach: (cloud) =>
      cloud.registerTarget('sqs', async (target, message, deliverOptions) => {
        delivered.push({ target, message, options: deliverOptions });
      }),
  };
  return await startLocalCloud({
    port: 0,
    folder: assembly.workFolder,
    assembly: assembly.folder,
    parts: ({ roles, lambda, customResources }) => [
      iamPart(roles),
      lambdaPart(lambda, roles),
      queues,
      customResources.part(),
    ],
    ...options,
  });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within a minute');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('asynchronous invocation', () => {
  const eventConfig = (name: string, properties: Record<string, Json>) => ({
    Type: 'AWS::Lambda::EventInvokeConfig',
    Properties: { FunctionName: name, Qualifier: '$LATEST', ...properties },
    DependsOn: name,
  });

  test('two retries, one and two minutes apart, then failure destination and dead-letter queue', async () => {
    const assembly = tinyAssembly(
      {
        ...tinyFunction('failing', [maySend], { DeadLetterConfig: { TargetArn: queue('dead') } }),
        FailingEvents: eventConfig('failing', { DestinationConfig: { OnFailure: { Destination: queue('failed') } } }),
      },
      functions,
    );
    const delivered: Delivered[] = [];
    // A minute of the cloud takes 50 ms here.
    const running = await start(assembly, delivered, { speed: 1200 });
    const before = running.cloud.clock.now();

    running.cloud.functions.invokeAsync(arn('failing'), { n: 7 });
    await until(() => delivered.length === 2);

    expect(running.cloud.clock.now() - before).toBeGreaterThanOrEqual(180_000);
    expect(delivered[0]).toMatchObject({
      target: queue('failed'),
      message: {
        version: '1.0',
        requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 3 },
        requestPayload: { n: 7 },
        responseContext: { functionError: 'Unhandled' },
        responsePayload: { errorMessage: 'attempt for 7' },
      },
    });
    expect(delivered[1]).toMatchObject({
      target: queue('dead'),
      message: { n: 7 },
      options: { attributes: { ErrorCode: '200', ErrorMessage: 'attempt for 7' } },
    });
    expect(running.cloud.store.list('lambda-async')).toEqual([]);
    await running.stop();
    assembly.remove();
  });

  test('no retries when the template says so, and a success destination', async () => {
    const assembly = tinyAssembly(
      {
        ...tinyFunction('failing', [maySend]),
        FailingEvents: eventConfig('failing', {
          MaximumRetryAttempts: 0,
          DestinationConfig: { OnFailure: { Destination: queue('failed') } },
        }),
        ...tinyFunction('succeeding', [maySend]),
        SucceedingEvents: eventConfig('succeeding', {
          DestinationConfig: { OnSuccess: { Destination: queue('done') } },
        }),
      },
      functions,
    );
    const delivered: Delivered[] = [];
    const running = await start(assembly, delivered);

    running.cloud.functions.invokeAsync(arn('failing'), { n: 1 });
    running.cloud.functions.invokeAsync(arn('succeeding'), { n: 21 });
    await until(() => delivered.length === 2);

    const byTarget = Object.fromEntries(delivered.map(({ target, message }) => [target, message]));
    expect(byTarget[queue('failed')]).toMatchObject({ requestContext: { approximateInvokeCount: 1 } });
    expect(byTarget[queue('done')]).toMatchObject({
      requestContext: { condition: 'Success' },
      responsePayload: { doubled: 42 },
    });
    await running.stop();
    assembly.remove();
  });

  test('a role that may not send to the destination loses the message, and the log says so', async () => {
    const assembly = tinyAssembly(
      {
        ...tinyFunction('failing', []),
        FailingEvents: eventConfig('failing', {
          MaximumRetryAttempts: 0,
          DestinationConfig: { OnFailure: { Destination: queue('failed') } },
        }),
      },
      functions,
    );
    const delivered: Delivered[] = [];
    const log = memoryLog();
    const running = await start(assembly, delivered, { log });

    running.cloud.functions.invokeAsync(arn('failing'), { n: 1 });
    await until(() => log.lines.some((line) => line.includes('is not authorized to perform: sqs:SendMessage')));

    expect(delivered).toEqual([]);
    await running.stop();
    assembly.remove();
  });

  test('what is queued survives a restart', async () => {
    const assembly = tinyAssembly(
      { ...tinyFunction('failing', [maySend], { DeadLetterConfig: { TargetArn: queue('dead') } }) },
      functions,
    );
    const delivered: Delivered[] = [];
    const first = await start(assembly, delivered, { data: `${assembly.workFolder}/data` });
    first.cloud.functions.invokeAsync(arn('failing'), { n: 3 });
    await until(() => first.cloud.store.list<{ failures: number }>('lambda-async')[0]?.value.failures === 1);
    await first.stop();

    const second = await start(assembly, delivered, { data: `${assembly.workFolder}/data`, speed: 2400 });
    await until(() => delivered.length === 1);

    expect(delivered[0]).toMatchObject({ target: queue('dead'), message: { n: 3 } });
    await second.stop();
    assembly.remove();
  });
});

test('with --speed a function sees the cloud’s clock', async () => {
  const assembly = tinyAssembly({ ...tinyFunction('clock', []) }, functions);
  const running = await start(assembly, [], { speed: 3600 });
  await running.cloud.functions.invoke(arn('clock'), {});
  const before = running.cloud.clock.now();

  const { payload } = await running.cloud.functions.invoke(arn('clock'), {});

  // Rounded to whole milliseconds in the function.
  expect(Number(payload)).toBeGreaterThanOrEqual(before - 3600);
  expect(Number(payload)).toBeLessThanOrEqual(running.cloud.clock.now() + 3600);
  expect(before).toBeGreaterThan(Date.now());
  await running.stop();
  assembly.remove();
});

describe('custom resources', () => {
  const resources = (properties: Record<string, Json>) => ({
    ...tinyFunction('provider', []),
    Zone: {
      Type: 'Custom::Zone',
      Properties: { ServiceToken: { 'Fn::GetAtt': ['provider', 'Arn'] }, ServiceTimeout: '30', ...properties },
    },
    // Nothing but a place to see what Ref and Fn::GetAtt give.
    ...tinyFunction('clock', [], {
      Environment: { Variables: { CALLS: { 'Fn::GetAtt': ['Zone', 'Calls'] }, ID: { Ref: 'Zone' } } },
    }),
  });

  const environment = {
    ...functions,
    clock: 'export const handler = async () => ({ calls: process.env.CALLS, id: process.env.ID });',
  };

  async function seen(data: string, size: string): Promise<Json> {
    const assembly = tinyAssembly(resources({ Size: size }), environment);
    const running = await start(assembly, [], { data });
    const { payload } = await running.cloud.functions.invoke(arn('clock'), {});
    await running.stop();
    assembly.remove();
    return payload;
  }

  test('Create once, nothing while its properties stay, Update when they change', async () => {
    const home = tinyAssembly({});

    expect(await seen(home.workFolder, 'small')).toEqual({ calls: 'Create:->small', id: 'physical-1' });
    expect(await seen(home.workFolder, 'small')).toEqual({ calls: 'Create:->small', id: 'physical-1' });
    expect(await seen(home.workFolder, 'large')).toEqual({ calls: 'Update:small>large', id: 'physical-1' });
    home.remove();
  });

  test.each([
    ['refuse', /^Tiny\/Zone \(Custom::Zone\): the custom resource failed: no such zone$/],
    ['throw', /^Tiny\/Zone \(Custom::Zone\): the custom resource failed: .*cannot/],
  ])(
    'a failure (%s) fails the start with its reason',
    async (Mode, message) => {
      const assembly = tinyAssembly(resources({ Mode, Size: 'x' }), environment);

      await expect(start(assembly, [])).rejects.toThrow(message);
      assembly.remove();
    },
    30_000,
  );

  test('a response URL is good for one answer', () => {
    const answer = new CustomResources().control({
      method: 'PUT',
      path: '/_wardline/custom-resource/guess',
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.from('{}'),
    });

    expect(answer).toMatchObject({ status: 403 });
  });
});

test('a template with a resource type or property that is not known fails with logical id, type and property', async () => {
  const assembly = tinyAssembly(
    {
      Ledger: { Type: 'AWS::QLDB::Ledger' },
      ...tinyFunction('clock', [], { SnapStart: { ApplyOn: 'None' } }),
    },
    functions,
  );

  await expect(start(assembly, [])).rejects.toThrow(
    [
      'The local cloud cannot run this template:',
      '  Tiny/Ledger: resource type AWS::QLDB::Ledger is not known',
      '  Tiny/clock: property SnapStart of AWS::Lambda::Function is not known',
    ].join('\n'),
  );
  assembly.remove();
});
