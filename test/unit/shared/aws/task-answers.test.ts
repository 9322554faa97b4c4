import {
  InvalidOutput,
  InvalidToken,
  SendTaskSuccessCommand,
  SFNClient,
  TaskDoesNotExist,
  TaskTimedOut,
} from '@aws-sdk/client-sfn';
import { mockClient } from 'aws-sdk-client-mock';
import { taskAnswerer } from '../../../../shared/aws/task-answers.ts';

const states = mockClient(SFNClient);
const answer = taskAnswerer(new SFNClient({ region: 'us-east-1' }));
const told = { message: 'As AWS says it.', $metadata: {} };

beforeEach(() => states.reset());

test('passes the answer on as JSON', async () => {
  states.on(SendTaskSuccessCommand).resolves({});
  expect(await answer('token-1', { verdict: 'PROMOTE' })).toBe('told');
  expect(states.commandCalls(SendTaskSuccessCommand)[0]?.args[0].input).toEqual({
    taskToken: 'token-1',
    output: '{"verdict":"PROMOTE"}',
  });
});

test.each([
  ['its time ran out', new TaskTimedOut(told)],
  ['it was answered before', new TaskDoesNotExist(told)],
  ['nobody knows the token', new InvalidToken(told)],
])('%s: nobody waits any more', async (_what, error) => {
  states.on(SendTaskSuccessCommand).rejects(error);
  expect(await answer('token-1', { verdict: 'STOP' })).toBe('gone');
});

test('what is wrong on our side, and what goes away by itself, is not taken for an answer', async () => {
  states.on(SendTaskSuccessCommand).rejects(new InvalidOutput(told));
  await expect(answer('token-1', {})).rejects.toThrow(InvalidOutput);
  states.on(SendTaskSuccessCommand).rejects(Object.assign(new Error('Rate exceeded'), { name: 'ThrottlingException' }));
  await expect(answer('token-1', {})).rejects.toThrow('Rate exceeded');
});
