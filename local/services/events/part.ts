import { AwsError, type AwsService, type Cloud, type Json, type Part, type ResourceType } from '../../cloud.ts';
import { Fields, isObject, type JsonObject } from '../fields.ts';
import { nameOfArn } from '../identifiers.ts';
import { compilePattern } from '../patterns/pattern.ts';
import { jsonService } from '../protocol/json.ts';
import { lateService } from '../protocol/late.ts';
import { parseSchedule } from '../schedules/expression.ts';
import { targetAction } from '../schedules/invoker.ts';
import { Rules } from './rules.ts';

const ENTRY_LIMIT = 10;

const detailOf = (entry: Fields): Json => {
  try {
    const detail = JSON.parse(entry.text('Detail')) as Json;
    if (isObject(detail)) return detail;
  } catch (error) {
    if (error instanceof AwsError) throw error;
  }
  throw new AwsError('MalformedDetail', 'Detail is malformed.');
};

/** EventBridge as functions call it: PutEvents. */
const eventsService = (cloud: Cloud, rules: Rules): AwsService =>
  jsonService({
    signingNames: ['events'],
    target: 'AWSEvents',
    version: '1.1',
    operations: {
      PutEvents: {
        permissions: (input) =>
          [
            ...new Set(
              input.objects('Entries').map((entry) => nameOfArn(entry.optionalText('EventBusName') ?? 'default')),
            ),
          ].map((bus) => ({ action: 'events:PutEvents', resource: cloud.arn('events', `event-bus/${bus}`) })),
        run(input) {
          const entries = input.objects('Entries');
          if (entries.length < 1 || entries.length > ENTRY_LIMIT) {
            throw new AwsError('ValidationException', `PutEvents takes 1 to ${ENTRY_LIMIT} entries`);
          }
          const results = entries.map((entry): JsonObject => {
            try {
              const bus = entry.optionalText('EventBusName') ?? 'default';
              if (!rules.hasBus(bus)) throw new AwsError('InvalidArgument', `Event bus ${bus} does not exist.`);
              const time = entry.optionalNumber('Time');
              return {
                EventId: rules.put(bus, {
                  source: entry.text('Source'),
                  detailType: entry.text('DetailType'),
                  detail: detailOf(entry),
                  resources: entry.texts('Resources'),
                  time: time === undefined ? cloud.clock.now() : time * 1000,
                }),
              };
            } catch (error) {
              if (!(error instanceof AwsError)) throw error;
              return { ErrorCode: error.code, ErrorMessage: error.message };
            }
          });
          return {
            Entries: results,
            FailedEntryCount: results.filter((result) => result['ErrorCode'] !== undefined).length,
          };
        },
      },
    },
  });

const ruleResource = (rules: () => Rules): ResourceType => ({
  type: 'AWS::Events::Rule',
  honoured: [
    'Name',
    'EventBusName',
    'EventPattern',
    'ScheduleExpression',
    'State',
    'RoleArn',
    'Targets.Id',
    'Targets.Arn',
    'Targets.RoleArn',
    'Targets.Input',
    'Targets.InputPath',
    'Targets.InputTransformer',
    'Targets.RetryPolicy',
    'Targets.DeadLetterConfig',
    'Targets.SqsParameters',
  ],
  leftOut: { Description: 'it changes nothing', Tags: 'tags change nothing here' },
  create(resource, cloud) {
    const fields = new Fields(resource.properties as JsonObject);
    const name = fields.optionalText('Name') ?? cloud.physicalName(resource);
    const bus = nameOfArn(fields.optionalText('EventBusName') ?? 'default');
    const arn = cloud.arn('events', bus === 'default' ? `rule/${name}` : `rule/${bus}/${name}`);
    const pattern = fields.optionalObject('EventPattern')?.raw;
    const expression = fields.optionalText('ScheduleExpression');
    if (pattern === undefined && expression === undefined)
      throw new Error(`${resource.logicalId}: the rule has neither a pattern nor a schedule`);
    if (expression?.trim().startsWith('at(') === true)
      throw new Error(`${resource.logicalId}: a rule takes rate(...) or cron(...)`);
    const targets = fields.objects('Targets');
    for (const target of targets) targetAction(target.text('Arn'));
    rules().putRule({
      name,
      arn,
      bus,
      enabled: (fields.optionalText('State') ?? 'ENABLED').startsWith('ENABLED'),
      targets,
      ...(pattern === undefined ? {} : { matches: compilePattern({ ...pattern }) }),
      ...(expression === undefined ? {} : { schedule: parseSchedule(expression) }),
    });
    return { ref: bus === 'default' ? name : `${bus}|${name}`, attributes: { Arn: arn } };
  },
});

const busResource = (rules: () => Rules): ResourceType => ({
  type: 'AWS::Events::EventBus',
  honoured: ['Name'],
  leftOut: {
    Description: 'it changes nothing',
    KmsKeyIdentifier: 'events are not kept here',
    DeadLetterConfig: 'it is for encrypted buses; a target has a dead-letter queue of its own',
    LogConfig: 'deliveries that fail are told by the log',
    Policy: 'callers are roles of this account, which need the permission in their own policy',
    Tags: 'tags change nothing here',
  },
  create(resource, cloud) {
    const name = new Fields(resource.properties as JsonObject).text('Name');
    rules().putBus(name);
    return { ref: name, attributes: { Name: name, Arn: cloud.arn('events', `event-bus/${name}`) } };
  },
});

/** EventBridge: buses and rules with patterns or schedules. */
export const eventsPart = (): Part => {
  let registry: Rules | undefined;
  let service: AwsService | undefined;
  const rules = (): Rules => {
    if (registry === undefined) throw new Error('EventBridge has not been attached');
    return registry;
  };
  return {
    name: 'events',
    services: [lateService(['events'], () => service)],
    resources: [ruleResource(rules), busResource(rules)],
    attach(cloud) {
      const attached = new Rules(cloud);
      registry = attached;
      service = eventsService(cloud, attached);
      cloud.registerTarget('events', async (targetArn, message) => {
        const event = new Fields(isObject(message) ? message : {});
        attached.put(targetArn, {
          source: event.text('source'),
          detailType: event.text('detail-type'),
          detail: event.raw['detail'] ?? {},
          resources: event.texts('resources'),
          time: cloud.clock.now(),
        });
      });
    },
    start: () => rules().start(),
    stop: async () => await registry?.stop(),
  };
};
