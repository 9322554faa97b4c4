import {
  AwsError,
  type AwsRequest,
  type AwsResponse,
  type AwsService,
  type Cloud,
  type Json,
  type Part,
  type Permission,
  type ResourceType,
} from '../../cloud.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { notEmulated } from '../protocol/json.ts';
import { lateService } from '../protocol/late.ts';
import { scheduleDefinition } from './definition.ts';
import { Schedules, type StoredSchedule } from './schedules.ts';

const OPERATIONS: Readonly<Record<string, string>> = {
  POST: 'CreateSchedule',
  PUT: 'UpdateSchedule',
  GET: 'GetSchedule',
  DELETE: 'DeleteSchedule',
};

const described = (schedules: Schedules, { definition, createdAt, changedAt }: StoredSchedule): JsonObject => ({
  Arn: schedules.arn(definition.group, definition.name),
  Name: definition.name,
  GroupName: definition.group,
  ScheduleExpression: definition.expression,
  ScheduleExpressionTimezone: definition.zone,
  State: definition.enabled ? 'ENABLED' : 'DISABLED',
  FlexibleTimeWindow: definition.flexibleWindow,
  Target: definition.target,
  ActionAfterCompletion: definition.deleteWhenDone ? 'DELETE' : 'NONE',
  CreationDate: createdAt / 1000,
  LastModificationDate: changedAt / 1000,
  ...(definition.start === undefined ? {} : { StartDate: definition.start / 1000 }),
  ...(definition.end === undefined ? {} : { EndDate: definition.end / 1000 }),
  ...(definition.description === undefined ? {} : { Description: definition.description }),
});

const json = (body: Json): AwsResponse => ({
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

/** EventBridge Scheduler as functions call it (REST JSON). */
const schedulerService = (cloud: Cloud, schedules: Schedules): AwsService => ({
  signingNames: ['scheduler'],
  resolve(request: AwsRequest) {
    const name = /^\/schedules\/([^/]+)$/.exec(request.path)?.[1];
    const operation = OPERATIONS[request.method];
    if (name === undefined || operation === undefined)
      throw notEmulated('Scheduler', `${request.method} ${request.path}`);
    const scheduleName = decodeURIComponent(name);
    const writes = request.method === 'POST' || request.method === 'PUT';
    const input = writes ? Fields.parse(request.body) : new Fields({});
    const group = (writes ? input.optionalText('GroupName') : request.query.get('groupName')) ?? 'default';
    const passRole: Permission[] = writes
      ? [
          {
            action: 'iam:PassRole',
            resource: input.object('Target').text('RoleArn'),
            context: { 'iam:passedtoservice': 'scheduler.amazonaws.com' },
          },
        ]
      : [];
    return {
      operation,
      permissions: [
        { action: `scheduler:${operation}`, resource: cloud.arn('scheduler', `schedule/${group}/${scheduleName}`) },
        ...passRole,
      ],
      async execute() {
        switch (request.method) {
          case 'POST':
            schedules.create(scheduleDefinition(scheduleName, input));
            return json({ ScheduleArn: schedules.arn(group, scheduleName) });
          case 'PUT':
            schedules.get(group, scheduleName);
            schedules.put(scheduleDefinition(scheduleName, input));
            return json({ ScheduleArn: schedules.arn(group, scheduleName) });
          case 'DELETE':
            schedules.delete(group, scheduleName);
            return json({});
          default:
            return json(described(schedules, schedules.get(group, scheduleName)));
        }
      },
    };
  },
  error: (error: AwsError) => ({
    status: error.status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.code },
    body: JSON.stringify({ Message: error.message }),
  }),
});

const scheduleResource = (schedules: () => Schedules): ResourceType => ({
  type: 'AWS::Scheduler::Schedule',
  honoured: [
    'Name',
    'GroupName',
    'Description',
    'ScheduleExpression',
    'ScheduleExpressionTimezone',
    'State',
    'StartDate',
    'EndDate',
    'FlexibleTimeWindow',
    'Target.Arn',
    'Target.RoleArn',
    'Target.Input',
    'Target.RetryPolicy',
    'Target.DeadLetterConfig',
    'Target.SqsParameters',
    'Target.EventBridgeParameters',
  ],
  leftOut: { KmsKeyArn: 'schedules are not encrypted here' },
  create(resource, cloud) {
    const fields = new Fields(resource.properties as JsonObject);
    const definition = scheduleDefinition(
      fields.optionalText('Name') ?? cloud.physicalName(resource).slice(0, 64),
      fields,
    );
    schedules().put(definition);
    return { ref: definition.name, attributes: { Arn: schedules().arn(definition.group, definition.name) } };
  },
});

const groupResource = (schedules: () => Schedules): ResourceType => ({
  type: 'AWS::Scheduler::ScheduleGroup',
  honoured: ['Name'],
  leftOut: { Tags: 'tags change nothing here' },
  create(resource, cloud) {
    const name =
      new Fields(resource.properties as JsonObject).optionalText('Name') ?? cloud.physicalName(resource).slice(0, 64);
    schedules().putGroup(name);
    return { ref: name, attributes: { Arn: cloud.arn('scheduler', `schedule-group/${name}`), State: 'ACTIVE' } };
  },
});

/** EventBridge Scheduler. */
export const schedulerPart = (): Part => {
  let registry: Schedules | undefined;
  let service: AwsService | undefined;
  const schedules = (): Schedules => {
    if (registry === undefined) throw new AwsError('InternalServerException', 'Scheduler has not been attached', 500);
    return registry;
  };
  return {
    name: 'scheduler',
    services: [lateService(['scheduler'], () => service)],
    resources: [scheduleResource(schedules), groupResource(schedules)],
    attach(cloud) {
      registry = new Schedules(cloud);
      service = schedulerService(cloud, registry);
    },
    start: () => schedules().start(),
    stop: () => registry?.stop(),
  };
};
