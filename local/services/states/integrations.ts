import { AwsError, type AwsResponse, type Cloud, type Json, type Principal } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { TaskError } from './task-error.ts';

/** How a task waits for its result. */
export type WaitFor = 'answer' | 'token' | 'execution';

/** A task's resource, taken apart. */
export interface Integration {
  readonly service: 'lambda' | 'states' | 'sqs' | 'sns' | 'events' | 'dynamodb';
  readonly operation: string;
  readonly waitFor: WaitFor;
  /** The function of a resource that is a function's ARN. */
  readonly functionArn?: string;
}

/** What is emulated: service, operation and the ways to wait. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  'lambda:invoke': ['', 'waitForTaskToken'],
  'states:startExecution': ['', 'sync:2', 'waitForTaskToken'],
  'sqs:sendMessage': ['', 'waitForTaskToken'],
  'sns:publish': ['', 'waitForTaskToken'],
  'events:putEvents': [''],
  'dynamodb:getItem': [''],
  'dynamodb:putItem': [''],
  'dynamodb:updateItem': [''],
  'dynamodb:deleteItem': [''],
};

/** Reads a task's resource; undefined for one that is not emulated. */
export const integrationOf = (resource: string): Integration | undefined => {
  if (/^arn:aws:lambda:[^:]*:\d{12}:function:/.test(resource)) {
    return { service: 'lambda', operation: 'invoke', waitFor: 'answer', functionArn: resource };
  }
  const match = /^arn:aws:states:::([a-z]+):([A-Za-z]+)(?:\.(.+))?$/.exec(resource);
  const [, service = '', operation = '', pattern = ''] = match ?? [];
  if (KNOWN[`${service}:${operation}`]?.includes(pattern) !== true) return undefined;
  return {
    service: service as Integration['service'],
    operation,
    waitFor: pattern === 'waitForTaskToken' ? 'token' : pattern === 'sync:2' ? 'execution' : 'answer',
  };
};

const prefix = (service: string): string => `${service.charAt(0).toUpperCase()}${service.slice(1)}`;

/** The error that a failed call of a service is in a state machine, e.g. `DynamoDb.ConditionalCheckFailedException`. */
const serviceError = (service: string, error: unknown): TaskError => {
  const name = service === 'dynamodb' ? 'DynamoDB' : service === 'events' ? 'EventBridge' : prefix(service);
  if (error instanceof AwsError) return new TaskError(`${name}.${error.code}`, error.message);
  return new TaskError('States.TaskFailed', error instanceof Error ? error.message : String(error));
};

const functionArn = (cloud: Cloud, parameters: Fields): string => {
  const name = parameters.text('FunctionName');
  const arn = name.startsWith('arn:') ? name : cloud.arn('lambda', `function:${name}`);
  const qualifier = parameters.optionalText('Qualifier');
  return qualifier === undefined ? arn : `${arn}:${qualifier}`;
};

const invoke = async (cloud: Cloud, principal: Principal, arn: string, payload: Json): Promise<Json> => {
  cloud.authorize(principal, { action: 'lambda:InvokeFunction', resource: arn });
  const { payload: answer, functionError } = await cloud.functions.invoke(arn, payload);
  if (functionError === undefined) return answer;
  const type = isObject(answer) ? answer['errorType'] : undefined;
  throw new TaskError(typeof type === 'string' ? type : 'Lambda.Unknown', JSON.stringify(answer));
};

/** Members that JSON services take as text. */
const asText = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null));

interface Target {
  readonly signingName: string;
  readonly target: string;
  readonly version: '1.0' | '1.1';
}

const TARGETS: Readonly<Record<string, Target>> = {
  sqs: { signingName: 'sqs', target: 'AmazonSQS', version: '1.0' },
  dynamodb: { signingName: 'dynamodb', target: 'DynamoDB_20120810', version: '1.0' },
  events: { signingName: 'events', target: 'AWSEvents', version: '1.1' },
};

/** What a role needs for a call of a service that takes JSON. */
const permissionOf = (
  cloud: Cloud,
  service: string,
  operation: string,
  input: Fields,
): { action: string; resource: string } => {
  switch (service) {
    case 'sqs':
      return { action: 'sqs:SendMessage', resource: cloud.arn('sqs', input.text('QueueUrl').split('/').at(-1) ?? '') };
    case 'dynamodb':
      return {
        action: `dynamodb:${operation}`,
        resource: cloud.arn('dynamodb', `table/${input.text('TableName').split('/').at(-1)}`),
      };
    default:
      return { action: 'events:PutEvents', resource: cloud.arn('events', 'event-bus/default') };
  }
};

const bodyOf = (response: AwsResponse): JsonObject => {
  const value = JSON.parse(String(response.body ?? '{}')) as Json;
  return isObject(value) ? value : {};
};

const callJson = async (
  cloud: Cloud,
  principal: Principal,
  service: string,
  operation: string,
  input: JsonObject,
): Promise<Json> => {
  const target = TARGETS[service];
  if (target === undefined) throw new TaskError('States.Runtime', `${service} is not emulated`);
  cloud.authorize(principal, permissionOf(cloud, service, operation, new Fields(input)));
  const response = await cloud.request(target.signingName, {
    method: 'POST',
    path: '/',
    query: new URLSearchParams(),
    headers: {
      'content-type': `application/x-amz-json-${target.version}`,
      'x-amz-target': `${target.target}.${operation}`,
    },
    body: Buffer.from(JSON.stringify(input)),
  });
  const body = bodyOf(response);
  if ((response.status ?? 200) === 200) return body;
  throw new AwsError(
    response.error ?? 'ServiceException',
    String(body['message'] ?? body['Message'] ?? ''),
    response.status,
  );
};

/** Carries a call out (but for executions of state machines) and gives the task's result. Throws TaskError. */
export const callService = async (
  cloud: Cloud,
  principal: Principal,
  integration: Integration,
  input: Json,
): Promise<Json> => {
  const { service, operation } = integration;
  try {
    if (integration.functionArn !== undefined) return await invoke(cloud, principal, integration.functionArn, input);
    if (!isObject(input)) throw new TaskError('States.Runtime', 'Parameters must be an object');
    const parameters = new Fields(input, 'Parameters');
    switch (service) {
      case 'lambda': {
        const arn = functionArn(cloud, parameters);
        const payload = input['Payload'] ?? {};
        if (parameters.optionalText('InvocationType') === 'Event') {
          cloud.authorize(principal, { action: 'lambda:InvokeFunction', resource: arn });
          cloud.functions.invokeAsync(arn, payload);
          return { StatusCode: 202 };
        }
        return { ExecutedVersion: '$LATEST', Payload: await invoke(cloud, principal, arn, payload), StatusCode: 200 };
      }
      case 'sns': {
        const topic = parameters.text('TopicArn');
        cloud.authorize(principal, { action: 'sns:Publish', resource: topic });
        const subject = parameters.optionalText('Subject');
        await cloud.deliver(topic, asText(input['Message']), {
          attributes: subject === undefined ? {} : { Subject: subject },
        });
        return {};
      }
      case 'sqs':
        return await callJson(cloud, principal, service, prefix(operation), {
          ...input,
          MessageBody: asText(input['MessageBody']),
        });
      case 'events': {
        const entries = parameters.objects('Entries').map(({ raw }) => ({ ...raw, Detail: asText(raw['Detail']) }));
        return await callJson(cloud, principal, service, prefix(operation), { Entries: entries });
      }
      default:
        return await callJson(cloud, principal, service, prefix(operation), input);
    }
  } catch (error) {
    throw error instanceof TaskError ? error : serviceError(service, error);
  }
};
