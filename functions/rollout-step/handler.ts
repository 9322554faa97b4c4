import { Logger } from '@aws-lambda-powertools/logger';
import { S3Client } from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SFNClient } from '@aws-sdk/client-sfn';
import type { Context } from 'aws-lambda';
import * as v from 'valibot';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { oneShotScheduler } from '../../shared/aws/one-shot-scheduler.ts';
import { s3Objects } from '../../shared/aws/s3-objects.ts';
import { taskAnswerer } from '../../shared/aws/task-answers.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { runStep, StepRequest } from '../../shared/rollouts/machines/steps.ts';
import { executionsOfSecond, paceBySite } from '../../shared/rollouts/pace.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';

const logger = new Logger();
const means = {
  devices: openTable(requiredEnvironment('DEVICES_TABLE')),
  directory: openTable(requiredEnvironment('DIRECTORY_TABLE')),
  interlock: readInterlock(requiredEnvironment('INTERLOCK')),
  plans: new PlanStore(s3Objects(new S3Client(), requiredEnvironment('ROLLOUTS_BUCKET'))),
  answer: taskAnswerer(new SFNClient()),
  pace: paceBySite(executionsOfSecond.back),
  scheduleOnce: oneShotScheduler(new SchedulerClient(), {
    group: requiredEnvironment('SCHEDULE_GROUP'),
    functionArn: requiredEnvironment('TICK_FUNCTION'),
    roleArn: requiredEnvironment('SCHEDULE_ROLE'),
    deadLetterArn: requiredEnvironment('TICK_FAILURES'),
  }),
  report: (problem: string, error: unknown) => logger.error(problem, describeFailure(error)),
  now: () => new Date(),
};

/** A lot of devices takes a second, and several when tables are busy; with less than this left, the next call goes on. */
const timeForLotMilliseconds = 15_000;

/** Called by the state machines of rollouts, `Rollout` and `SiteRollout`. */
export const handler = async (event: unknown, context: Context): Promise<object> => {
  const request = v.parse(StepRequest, event);
  const { step, rolloutId } = request;
  try {
    const answer = await runStep(
      { ...means, hasTime: () => context.getRemainingTimeInMillis() > timeForLotMilliseconds },
      request,
    );
    logger.info('step', { step, rolloutId, ...('siteId' in request ? { siteId: request.siteId } : {}) });
    return answer;
  } catch (error) {
    logger.error('step failed', { step, rolloutId, ...describeFailure(error) });
    throw error;
  }
};
