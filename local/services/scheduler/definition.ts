import { AwsError } from '../../cloud.ts';
import type { Fields, JsonObject } from '../fields.ts';
import { InvalidSchedule } from '../schedules/cron.ts';
import { parseSchedule, type Schedule } from '../schedules/expression.ts';
import { targetAction } from '../schedules/invoker.ts';

/** A schedule as it was created. Times are ms since the epoch. */
export interface ScheduleDefinition {
  readonly name: string;
  readonly group: string;
  readonly expression: string;
  readonly zone: string;
  readonly enabled: boolean;
  readonly start?: number;
  readonly end?: number;
  readonly description?: string;
  readonly flexibleWindow: JsonObject;
  readonly target: JsonObject;
  readonly deleteWhenDone: boolean;
  readonly clientToken?: string;
}

/** CloudFormation writes dates as text, the API as seconds since the epoch. */
const dateOf = (fields: Fields, name: string): number | undefined => {
  const text = fields.optionalText(name);
  if (text === undefined) return undefined;
  const time = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(time)) throw new AwsError('ValidationException', `${name} must be a date`);
  return time;
};

/** The parsed expression; AwsError `ValidationException` when it is none. */
export const scheduleOf = ({ expression, zone }: Pick<ScheduleDefinition, 'expression' | 'zone'>): Schedule => {
  try {
    return parseSchedule(expression, zone);
  } catch (error) {
    if (error instanceof InvalidSchedule)
      throw new AwsError('ValidationException', `Invalid Schedule Expression: ${error.message}`);
    throw error;
  }
};

const TARGET_FIELDS = new Set([
  'Arn',
  'RoleArn',
  'Input',
  'RetryPolicy',
  'DeadLetterConfig',
  'SqsParameters',
  'EventBridgeParameters',
]);

/** Target fields and targets that would be ignored are refused. */
const checkTarget = (target: Fields): void => {
  const unknown = Object.keys(target.raw).find((name) => !TARGET_FIELDS.has(name) && target.has(name));
  if (unknown !== undefined)
    throw new AwsError('ValidationException', `The local cloud does not emulate Target.${unknown}`);
  target.text('RoleArn');
  try {
    targetAction(target.text('Arn'));
  } catch (error) {
    throw new AwsError('ValidationException', error instanceof Error ? error.message : String(error));
  }
};

/** Reads a schedule from the body of CreateSchedule or UpdateSchedule, or from the properties of a resource. */
export const scheduleDefinition = (name: string, fields: Fields): ScheduleDefinition => {
  const target = fields.object('Target');
  checkTarget(target);
  const window = fields.object('FlexibleTimeWindow');
  const mode = window.text('Mode');
  if (mode !== 'OFF' && mode !== 'FLEXIBLE')
    throw new AwsError('ValidationException', `FlexibleTimeWindow.Mode ${mode} is not known`);
  const after = fields.optionalText('ActionAfterCompletion') ?? 'NONE';
  if (after !== 'NONE' && after !== 'DELETE')
    throw new AwsError('ValidationException', `ActionAfterCompletion ${after} is not known`);
  const start = dateOf(fields, 'StartDate');
  const end = dateOf(fields, 'EndDate');
  const description = fields.optionalText('Description');
  const clientToken = fields.optionalText('ClientToken');
  const definition: ScheduleDefinition = {
    name,
    group: fields.optionalText('GroupName') ?? 'default',
    expression: fields.text('ScheduleExpression'),
    zone: fields.optionalText('ScheduleExpressionTimezone') ?? 'UTC',
    enabled: (fields.optionalText('State') ?? 'ENABLED') === 'ENABLED',
    flexibleWindow: { ...window.raw },
    target: { ...target.raw },
    deleteWhenDone: after === 'DELETE',
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
    ...(description === undefined ? {} : { description }),
    ...(clientToken === undefined ? {} : { clientToken }),
  };
  scheduleOf(definition);
  return definition;
};
