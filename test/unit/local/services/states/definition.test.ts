import fc from 'fast-check';
import type { Json } from '../../../../../local/cloud.ts';
import { AwsError } from '../../../../../local/cloud.ts';
import { InvalidDefinition, prepareDefinition } from '../../../../../local/services/states/definition.ts';
import { integrationOf } from '../../../../../local/services/states/integrations.ts';

const machine = (state: Record<string, Json>, more: Record<string, Json> = {}) => ({
  StartAt: 'One',
  States: { One: state },
  ...more,
});
const task = (more: Record<string, Json> = {}): Record<string, Json> => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::lambda:invoke',
  End: true,
  ...more,
});

describe('definitions', () => {
  test.each<[string, Record<string, Json>]>([
    ['JSONata', { Type: 'Pass', QueryLanguage: 'JSONata', End: true }],
    ['variables', { Type: 'Pass', Assign: { x: 1 }, End: true }],
    ['a falsy result', { Type: 'Pass', Result: 0, End: true }],
    ['credentials', task({ Credentials: { RoleArn: 'x' } })],
    ['a timeout from the input', task({ TimeoutSecondsPath: '$.t' })],
    ['jitter', task({ Retry: [{ ErrorEquals: ['States.ALL'], JitterStrategy: 'FULL' }] })],
    [
      'retries of a map',
      { Type: 'Map', ItemProcessor: { StartAt: 'A', States: { A: { Type: 'Succeed' } } }, Retry: [], End: true },
    ],
    [
      'a distributed map',
      {
        Type: 'Map',
        ItemProcessor: { ProcessorConfig: { Mode: 'DISTRIBUTED' }, StartAt: 'A', States: { A: { Type: 'Succeed' } } },
        End: true,
      },
    ],
    [
      'an item reader',
      { Type: 'Map', ItemReader: {}, ItemProcessor: { StartAt: 'A', States: { A: { Type: 'Succeed' } } }, End: true },
    ],
    [
      'tolerated failures',
      {
        Type: 'Map',
        ToleratedFailureCount: 1,
        ItemProcessor: { StartAt: 'A', States: { A: { Type: 'Succeed' } } },
        End: true,
      },
    ],
    ['chance', { Type: 'Pass', Parameters: { 'id.$': 'States.UUID()' }, End: true }],
    ['the entered time', task({ Parameters: { 'at.$': '$$.State.EnteredTime' } })],
    ['the whole context', task({ Parameters: { 'all.$': '$$' } })],
    ['an unknown type', { Type: 'Loop' }],
    ['an unknown field', task({ Foo: 1 })],
  ])('refuses %s', (_name, state) => {
    expect(() => prepareDefinition(machine(state))).toThrow(InvalidDefinition);
  });

  test('refuses unknown fields and JSONata of the whole machine', () => {
    expect(() => prepareDefinition(machine({ Type: 'Succeed' }, { Foo: 1 }))).toThrow(InvalidDefinition);
    expect(() => prepareDefinition(machine({ Type: 'Succeed' }, { QueryLanguage: 'JSONata' }))).toThrow(
      InvalidDefinition,
    );
  });

  test('two states of the same name are refused, also in different branches', () => {
    const branch = { StartAt: 'One', States: { One: { Type: 'Succeed' } } };
    expect(() => prepareDefinition(machine({ Type: 'Parallel', Branches: [branch], End: true }))).toThrow('Two states');
  });

  test('a wait becomes a task that passes its input on', () => {
    const { definition, plans } = prepareDefinition(machine({ Type: 'Wait', SecondsPath: '$.seconds', Next: 'Two' }));
    expect(plans.get('One')).toEqual({ kind: 'wait' });
    expect((definition['States'] as Record<string, Json>)['One']).toMatchObject({
      Type: 'Task',
      Parameters: { 'Seconds.$': '$.seconds' },
      ResultPath: null,
      Next: 'Two',
    });
  });

  test('execution start and input have names that are right within branches, too', () => {
    const { definition } = prepareDefinition(
      machine(
        task({
          Parameters: { 'at.$': '$$.Execution.StartTime', 'text.$': "States.Format('{}', $$.Execution.Input.a)" },
        }),
      ),
    );
    expect(JSON.stringify(definition)).toContain('$$.Wardline.StartTime');
    expect(JSON.stringify(definition)).toContain('$$.Wardline.Input.a');
  });

  test('any JSON is prepared or refused', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('Type', 'Resource', 'Retry', 'Catch', 'Result', 'Branches', 'ItemProcessor'),
          fc.jsonValue(),
        ),
        (state) => {
          try {
            prepareDefinition(machine(state as Record<string, Json>));
          } catch (error) {
            expect(error instanceof InvalidDefinition || error instanceof AwsError).toBe(true);
          }
        },
      ),
    );
  });

  test.each([
    ['arn:aws:states:::lambda:invoke', 'answer'],
    ['arn:aws:states:::lambda:invoke.waitForTaskToken', 'token'],
    ['arn:aws:states:::states:startExecution.sync:2', 'execution'],
    ['arn:aws:lambda:us-east-1:000000000000:function:x', 'answer'],
  ])('%s waits for its %s', (resource, waitFor) => {
    expect(integrationOf(resource)?.waitFor).toBe(waitFor);
  });

  test.each([
    'arn:aws:states:::states:startExecution.sync',
    'arn:aws:states:::aws-sdk:s3:getObject',
    'arn:aws:states:::sqs:sendMessage.sync',
    'x',
  ])('%s is not emulated', (resource) => {
    expect(integrationOf(resource)).toBeUndefined();
  });
});
