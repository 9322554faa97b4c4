import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DescribeExecutionCommand,
  SendTaskFailureCommand,
  SendTaskHeartbeatCommand,
  SendTaskSuccessCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { Clock, Json } from '../../../../local/cloud.ts';
import { sqsPart } from '../../../../local/services/sqs/part.ts';
import { Queues } from '../../../../local/services/sqs/queues.ts';
import type { ExecutionRecord } from '../../../../local/services/states/execution.ts';
import { statesPart } from '../../../../local/services/states/part.ts';
import { eventually, Harness } from './harness.ts';

/** A clock that jumps to the next planned time as soon as nothing else is to be done, and remembers the jumps. */
const jumpingClock = (now = Date.UTC(2026, 4, 1, 12)): Clock & { readonly jumps: number[]; hold: boolean } => {
  const planned: { readonly at: number; readonly run: () => void }[] = [];
  const clock = {
    time: now,
    jumps: [] as number[],
    hold: false,
    now: () => clock.time,
    at(at: number, run: () => void) {
      const entry = { at, run };
      planned.push(entry);
      setImmediate(turn);
      return () => {
        const index = planned.indexOf(entry);
        if (index >= 0) planned.splice(index, 1);
      };
    },
  };
  const turn = () => {
    if (clock.hold) return;
    planned.sort((a, b) => a.at - b.at);
    const next = planned.shift();
    if (next === undefined) return;
    if (next.at > clock.time) {
      clock.jumps.push(next.at - clock.time);
      clock.time = next.at;
    }
    next.run();
  };
  return clock;
};

const RoleArn = 'arn:aws:iam::000000000000:role/machine';

const prepare = async ({ started = true, ...options }: { data?: string; clock?: Clock; started?: boolean } = {}) => {
  const harness = await Harness.open([sqsPart(new Queues()), statesPart()], options);
  const states = new SFNClient(harness.client);
  const machine = async (logicalId: string, definition: Json) =>
    (
      await harness.create('AWS::StepFunctions::StateMachine', logicalId, {
        RoleArn,
        DefinitionString: JSON.stringify(definition),
      })
    ).ref;
  const start = async (stateMachineArn: string, input: Json = {}, name?: string) =>
    (await states.send(new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input), name })))
      .executionArn ?? '';
  const stored = (arn: string) => harness.cloud.store.get<ExecutionRecord>('states/execution', arn);
  const finished = async (arn: string) =>
    await eventually(() => (stored(arn)?.status === 'RUNNING' ? undefined : stored(arn)));
  const run = async (logicalId: string, definition: Json, input: Json = {}) =>
    await finished(await start(await machine(logicalId, definition), input));
  if (started) await harness.start();
  const close = async () => {
    states.destroy();
    await harness.close();
  };
  return { harness, states, machine, start, stored, finished, run, close };
};

const invoke = (more: Record<string, Json> = {}): Record<string, Json> => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  Parameters: { FunctionName: 'work', 'Payload.$': '$' },
  ResultSelector: { 'value.$': '$.Payload' },
  End: true,
  ...more,
});

test('tasks, choices, maps and branches give the execution its output', async () => {
  const { harness, run, close } = await prepare();
  harness.functions.set('work', (event) => (typeof event === 'number' ? event * 2 : event));
  const record = await run(
    'All',
    {
      StartAt: 'Each',
      States: {
        Each: {
          Type: 'Map',
          ItemsPath: '$.numbers',
          ItemProcessor: {
            StartAt: 'Double',
            States: { Double: invoke({ ResultSelector: { 'value.$': '$.Payload' } }) },
          },
          ResultPath: '$.doubled',
          Next: 'Check',
        },
        Check: {
          Type: 'Choice',
          Choices: [{ Variable: '$.doubled[0].value', NumericEquals: 2, Next: 'Both' }],
          Default: 'No',
        },
        No: { Type: 'Fail', Error: 'Wrong' },
        Both: {
          Type: 'Parallel',
          Branches: [
            {
              StartAt: 'A',
              States: { A: { Type: 'Pass', Parameters: { 'n.$': '$$.Execution.Input.numbers[1]' }, End: true } },
            },
            { StartAt: 'B', States: { B: { Type: 'Pass', Result: 'b', End: true } } },
          ],
          End: true,
        },
      },
    },
    { numbers: [1, 2] },
  );
  expect(record).toMatchObject({ status: 'SUCCEEDED', output: '[{"n":2},"b"]' });
  await close();
});

test('retries with backoff in cloud time, then catches by name', async () => {
  const clock = jumpingClock();
  const { harness, run, close } = await prepare({ clock });
  let calls = 0;
  harness.functions.set('work', () => {
    calls += 1;
    throw new Error('down');
  });
  const record = await run('Retrying', {
    StartAt: 'Work',
    States: {
      Work: invoke({
        Retry: [
          {
            ErrorEquals: ['States.TaskFailed'],
            IntervalSeconds: 10,
            MaxAttempts: 3,
            BackoffRate: 3,
            MaxDelaySeconds: 60,
          },
        ],
        Catch: [{ ErrorEquals: ['Lambda.Unknown'], ResultPath: '$.error', Next: 'Caught' }],
      }),
      Caught: { Type: 'Pass', OutputPath: '$.error.Error', End: true },
    },
  });
  expect(record).toMatchObject({ status: 'SUCCEEDED', output: '"Lambda.Unknown"' });
  expect(calls).toBe(4);
  expect(clock.jumps).toEqual([10_000, 30_000, 60_000]);
  await close();
});

test('waits in cloud time, by seconds and by timestamp', async () => {
  const clock = jumpingClock();
  const { run, close } = await prepare({ clock });
  const record = await run(
    'Waiting',
    {
      StartAt: 'Seconds',
      States: {
        Seconds: { Type: 'Wait', SecondsPath: '$.seconds', Next: 'Until' },
        Until: { Type: 'Wait', Timestamp: '2026-06-01T00:00:00Z', End: true },
      },
    },
    { seconds: 90 },
  );
  expect(record).toMatchObject({ status: 'SUCCEEDED', output: '{"seconds":90}', stoppedAt: Date.UTC(2026, 5, 1) });
  expect(clock.jumps[0]).toBe(90_000);
  await close();
});

test('a task token comes back with success, failure or silence', async () => {
  const { harness, states, machine, start, finished, close } = await prepare();
  const tokens: string[] = [];
  harness.functions.set('work', (event) => {
    tokens.push((event as { token: string }).token);
    return null;
  });
  const arn = await machine('Token', {
    StartAt: 'Ask',
    States: {
      Ask: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: 'work', Payload: { 'token.$': '$$.Task.Token' } },
        End: true,
      },
    },
  });
  const first = await start(arn);
  await eventually(() => tokens.length === 1);
  harness.asked.length = 0;
  await states.send(new SendTaskHeartbeatCommand({ taskToken: tokens[0] }));
  await states.send(new SendTaskSuccessCommand({ taskToken: tokens[0], output: '{"ok":true}' }));
  expect(harness.asked).toEqual([
    { action: 'states:SendTaskHeartbeat', resource: arn },
    { action: 'states:SendTaskSuccess', resource: arn },
  ]);
  expect(await finished(first)).toMatchObject({ status: 'SUCCEEDED', output: '{"ok":true}' });
  await expect(states.send(new SendTaskSuccessCommand({ taskToken: tokens[0], output: '{}' }))).rejects.toMatchObject({
    name: 'TaskTimedOut',
  });
  await expect(states.send(new SendTaskSuccessCommand({ taskToken: 'none', output: '{}' }))).rejects.toMatchObject({
    name: 'InvalidToken',
  });

  const second = await start(arn);
  await eventually(() => tokens.length === 2);
  await states.send(new SendTaskFailureCommand({ taskToken: tokens[1], error: 'Refused', cause: 'no' }));
  expect(await finished(second)).toMatchObject({ status: 'FAILED', error: 'Refused', cause: 'no' });

  const third = await start(arn);
  await eventually(() => tokens.length === 3);
  await states.send(new StopExecutionCommand({ executionArn: third, error: 'Brake' }));
  expect(await states.send(new DescribeExecutionCommand({ executionArn: third }))).toMatchObject({
    status: 'ABORTED',
    error: 'Brake',
  });
  await expect(states.send(new SendTaskSuccessCommand({ taskToken: tokens[2], output: '{}' }))).rejects.toMatchObject({
    name: 'TaskTimedOut',
  });
  await close();
});

test('a timeout is not a failed task, a missing heartbeat has its name, and an execution has a limit', async () => {
  const clock = jumpingClock();
  const { harness, run, close } = await prepare({ clock });
  harness.functions.set('work', () => null);
  const ask = (more: Record<string, Json>): Json => ({
    StartAt: 'Ask',
    States: {
      Ask: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: 'work', Payload: { 'token.$': '$$.Task.Token' } },
        Catch: [
          { ErrorEquals: ['States.TaskFailed'], Next: 'Failed' },
          { ErrorEquals: ['States.Timeout'], Next: 'TimedOut' },
        ],
        End: true,
        ...more,
      },
      Failed: { Type: 'Pass', Result: 'failed', End: true },
      TimedOut: { Type: 'Pass', Result: 'timed out', End: true },
    },
  });
  expect(await run('Slow', ask({ TimeoutSeconds: 2_592_000 }))).toMatchObject({ output: '"timed out"' });
  expect(clock.jumps).toEqual([2_592_000_000]);
  const uncaught = ask({
    TimeoutSeconds: 5,
    Catch: [{ ErrorEquals: ['States.TaskFailed'], Next: 'Failed' }],
  }) as Record<string, Record<string, Json>>;
  delete uncaught['States']?.['TimedOut'];
  expect(await run('Uncaught', uncaught)).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
  expect(await run('Silent', ask({ HeartbeatSeconds: 60 }))).toMatchObject({ output: '"failed"' });
  expect(await run('Limited', { ...(ask({}) as Record<string, Json>), TimeoutSeconds: 10 })).toMatchObject({
    status: 'TIMED_OUT',
  });
  await close();
});

test('a child execution gives its output, or its failure, to its parent', async () => {
  const { machine, start, finished, close } = await prepare();
  const child = await machine('Child', {
    StartAt: 'Which',
    States: {
      Which: { Type: 'Choice', Choices: [{ Variable: '$.fail', BooleanEquals: true, Next: 'Bad' }], Default: 'Good' },
      Bad: { Type: 'Fail', Error: 'Bad', Cause: 'asked' },
      Good: { Type: 'Succeed' },
    },
  });
  const parent = await machine('Parent', {
    StartAt: 'Run',
    States: {
      Run: {
        Type: 'Task',
        Resource: 'arn:aws:states:::states:startExecution.sync:2',
        Parameters: { StateMachineArn: child, 'Input.$': '$' },
        OutputPath: '$.Output',
        End: true,
      },
    },
  });
  expect(await finished(await start(parent, { fail: false }))).toMatchObject({
    status: 'SUCCEEDED',
    output: '{"fail":false}',
  });
  const failed = await finished(await start(parent, { fail: true }));
  expect(failed).toMatchObject({ status: 'FAILED', error: 'States.TaskFailed' });
  expect(JSON.parse(failed.cause ?? '{}')).toMatchObject({ Status: 'FAILED', Error: 'Bad', Cause: 'asked' });
  await close();
});

test('a name starts one execution', async () => {
  const { states, harness, machine, start, finished, close } = await prepare();
  let release: () => void = () => undefined;
  harness.functions.set(
    'work',
    () =>
      new Promise<Json>((resolve) => {
        release = () => resolve(null);
      }),
  );
  const arn = await machine('Named', { StartAt: 'Work', States: { Work: invoke() } });
  const first = await start(arn, { a: 1 }, 'rollout-1');
  expect(await start(arn, { a: 1 }, 'rollout-1')).toBe(first);
  const again = (input: string) =>
    states.send(new StartExecutionCommand({ stateMachineArn: arn, name: 'rollout-1', input }));
  await expect(again('{"a":2}')).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
  release();
  await finished(first);
  await expect(again('{"a":1}')).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
  await close();
});

test('what its role may not do fails the task', async () => {
  const { harness, run, close } = await prepare();
  harness.denied.add('lambda:InvokeFunction');
  expect(await run('Denied', { StartAt: 'Work', States: { Work: invoke() } })).toMatchObject({
    status: 'FAILED',
    error: 'Lambda.AccessDeniedException',
  });
  await close();
});

test('a restart with data goes on: nothing that is done is done again', async () => {
  const data = mkdtempSync(join(tmpdir(), 'wardline-states-'));
  const definition: Json = {
    StartAt: 'Dispatch',
    States: {
      Dispatch: invoke({
        Parameters: { FunctionName: 'dispatch', Payload: { 'at.$': '$$.Execution.StartTime' } },
        ResultPath: null,
        Next: 'Ask',
        End: undefined as never,
      }),
      Ask: {
        Type: 'Task',
        Resource: 'arn:aws:states:::lambda:invoke.waitForTaskToken',
        Parameters: { FunctionName: 'ask', Payload: { 'token.$': '$$.Task.Token' } },
        ResultPath: '$.answer',
        Next: 'Report',
      },
      Report: invoke({ Parameters: { FunctionName: 'report', 'Payload.$': '$.answer' } }),
    },
  };
  const calls: string[] = [];
  const tokens: string[] = [];
  const session = async () => {
    const made = await prepare({ data, started: false });
    made.harness.functions.set('dispatch', () => {
      calls.push('dispatch');
      return null;
    });
    made.harness.functions.set('ask', (event) => {
      calls.push('ask');
      tokens.push((event as { token: string }).token);
      return null;
    });
    made.harness.functions.set('report', (event) => {
      calls.push('report');
      return event;
    });
    const arn = await made.machine('Rollout', definition);
    await made.harness.start();
    return { ...made, arn };
  };
  try {
    const first = await session();
    const execution = await first.start(first.arn);
    const called = (made: typeof first) =>
      made.harness.cloud.store
        .list<{ called?: true }>(`states/task/${execution}`)
        .some(({ value }) => value.called === true);
    await eventually(() => called(first));
    await first.close();
    const second = await session();
    await second.states.send(new SendTaskSuccessCommand({ taskToken: tokens[0], output: '{"yes":1}' }));
    expect(await second.finished(execution)).toMatchObject({ status: 'SUCCEEDED', output: '{"value":{"yes":1}}' });
    expect(calls).toEqual(['dispatch', 'ask', 'report']);
    await second.close();
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
