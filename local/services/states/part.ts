import {
  AwsError,
  type AwsService,
  type Cloud,
  type Json,
  type Part,
  type Permission,
  type ResourceType,
} from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { jsonService } from '../protocol/json.ts';
import { lateService } from '../protocol/late.ts';
import { prepareDefinition } from './definition.ts';
import type { ExecutionRecord } from './execution.ts';
import { Executions, isStatus, revisionOf } from './executions.ts';
import { integrationOf } from './integrations.ts';

const started = (record: ExecutionRecord): JsonObject => ({
  executionArn: record.arn,
  startDate: record.startedAt / 1000,
});

const described = (record: ExecutionRecord): JsonObject => ({
  executionArn: record.arn,
  stateMachineArn: record.machineArn,
  name: record.name,
  status: record.status,
  startDate: record.startedAt / 1000,
  ...(record.stoppedAt === undefined ? {} : { stopDate: record.stoppedAt / 1000 }),
});

const optional = (record: ExecutionRecord): JsonObject => ({
  input: record.input,
  ...(record.output === undefined ? {} : { output: record.output }),
  ...(record.error === undefined ? {} : { error: record.error }),
  ...(record.cause === undefined ? {} : { cause: record.cause }),
});

const outputOf = (input: Fields): Json => {
  try {
    return JSON.parse(input.text('output')) as Json;
  } catch {
    throw new AwsError('InvalidOutput', 'Invalid Output: it is not JSON');
  }
};

/** Step Functions as functions call it. */
const statesService = (cloud: Cloud, executions: Executions): AwsService => {
  const onMachine =
    (action: string) =>
    (input: Fields): Permission[] => [
      { action: `states:${action}`, resource: executions.machine(input.text('stateMachineArn')).arn },
    ];
  const onExecution =
    (action: string) =>
    (input: Fields): Permission[] => [{ action: `states:${action}`, resource: input.text('executionArn') }];
  const onToken =
    (action: string) =>
    (input: Fields): Permission[] => {
      const { executionArn } = executions.tokens.get(input.text('taskToken'));
      return [{ action: `states:${action}`, resource: executions.get(executionArn).machineArn }];
    };
  return jsonService({
    signingNames: ['states'],
    target: 'AWSStepFunctions',
    version: '1.0',
    operations: {
      StartExecution: {
        permissions: onMachine('StartExecution'),
        run: (input) =>
          started(
            executions.start(input.text('stateMachineArn'), input.optionalText('name'), input.optionalText('input')),
          ),
      },
      DescribeExecution: {
        permissions: onExecution('DescribeExecution'),
        run(input) {
          const record = executions.get(input.text('executionArn'));
          return { ...described(record), ...optional(record) };
        },
      },
      ListExecutions: {
        permissions: onMachine('ListExecutions'),
        run(input) {
          const status = input.optionalText('statusFilter');
          if (status !== undefined && !isStatus(status))
            throw new AwsError('ValidationException', `${status} is not a status`);
          if (input.has('nextToken')) throw new AwsError('InvalidToken', 'Invalid Token');
          return { executions: executions.list(input.text('stateMachineArn'), status).map(described) };
        },
      },
      StopExecution: {
        permissions: onExecution('StopExecution'),
        run(input) {
          const record = executions.stop(
            input.text('executionArn'),
            input.optionalText('error'),
            input.optionalText('cause'),
          );
          return { stopDate: (record.stoppedAt ?? cloud.clock.now()) / 1000 };
        },
      },
      SendTaskSuccess: {
        permissions: onToken('SendTaskSuccess'),
        run(input) {
          executions.tokens.settle(input.text('taskToken'), { value: outputOf(input) });
          return undefined;
        },
      },
      SendTaskFailure: {
        permissions: onToken('SendTaskFailure'),
        run(input) {
          executions.tokens.settle(input.text('taskToken'), {
            error: input.optionalText('error') ?? 'States.TaskFailed',
            cause: input.optionalText('cause') ?? '',
          });
          return undefined;
        },
      },
      SendTaskHeartbeat: {
        permissions: onToken('SendTaskHeartbeat'),
        run(input) {
          executions.tokens.beat(input.text('taskToken'));
          return undefined;
        },
      },
    },
  });
};

const definitionOf = (fields: Fields, logicalId: string): JsonObject => {
  const object = fields.optionalObject('Definition')?.raw;
  const substitutions = fields.optionalObject('DefinitionSubstitutions');
  let text = object === undefined ? fields.text('DefinitionString') : JSON.stringify(object);
  for (const name of Object.keys(substitutions?.raw ?? {}))
    text = text.replaceAll(`\${${name}}`, substitutions?.text(name) ?? '');
  const definition = JSON.parse(text) as Json;
  if (!isObject(definition)) throw new Error(`${logicalId}: the definition is not an object`);
  return definition;
};

const machineResource = (executions: () => Executions): ResourceType => ({
  type: 'AWS::StepFunctions::StateMachine',
  honoured: [
    'StateMachineName',
    'StateMachineType',
    'RoleArn',
    'Definition',
    'DefinitionString',
    'DefinitionSubstitutions',
  ],
  leftOut: {
    LoggingConfiguration: 'there is no CloudWatch here; DescribeExecution gives the error and its cause',
    TracingConfiguration: 'there is no X-Ray here',
    EncryptionConfiguration: 'executions are not encrypted here',
    Tags: 'tags change nothing here',
  },
  async create(resource, cloud) {
    const { logicalId } = resource;
    const fields = new Fields(resource.properties as JsonObject);
    const type = fields.optionalText('StateMachineType') ?? 'STANDARD';
    if (type !== 'STANDARD') throw new Error(`${logicalId}: state machines of type ${type} are not emulated`);
    const original = definitionOf(fields, logicalId);
    const prepared = prepareDefinition(original);
    for (const [name, plan] of prepared.plans) {
      if (plan.kind === 'task' && integrationOf(plan.resource) === undefined) {
        throw new Error(`${logicalId}: the resource ${plan.resource} of state ${name} is not emulated`);
      }
    }
    const name = fields.optionalText('StateMachineName') ?? cloud.physicalName(resource).slice(0, 80);
    const arn = cloud.arn('states', `stateMachine:${name}`);
    await executions().putMachine({ arn, name, roleArn: fields.text('RoleArn'), prepared }, original);
    return {
      ref: arn,
      attributes: { Arn: arn, Name: name, StateMachineRevisionId: revisionOf(JSON.stringify(original)) },
    };
  },
});

/** Step Functions: standard workflows in JSONPath. */
export const statesPart = (): Part => {
  let registry: Executions | undefined;
  let service: AwsService | undefined;
  const executions = (): Executions => {
    if (registry === undefined) throw new Error('Step Functions has not been attached');
    return registry;
  };
  return {
    name: 'states',
    services: [lateService(['states'], () => service)],
    resources: [machineResource(executions)],
    attach(cloud) {
      registry = new Executions(cloud);
      service = statesService(cloud, registry);
      cloud.registerTarget('states', async (targetArn, message) => {
        executions().start(targetArn, undefined, JSON.stringify(message));
      });
    },
    start: () => executions().begin(),
    stop: () => registry?.close(),
  };
};
