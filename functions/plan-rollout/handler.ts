import { Logger } from '@aws-lambda-powertools/logger';
import { S3Client } from '@aws-sdk/client-s3';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { s3Objects } from '../../shared/aws/s3-objects.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { candidateSource } from '../../shared/rollouts/plan/candidate-source.ts';
import { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';
import { giveUpPlan, type PlanEnd, type Planner, runPlan } from '../../shared/rollouts/plan/run-plan.ts';

const logger = new Logger();
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const plans = new PlanStore(s3Objects(new S3Client(), requiredEnvironment('ROLLOUTS_BUCKET')));

const Order = v.object({ rolloutId: v.string(), version: v.pipe(v.number(), v.integer()) });

/** What is left of the invocation must do to store the summaries and the rollout. */
const timeForEndMilliseconds = 30_000;

/** An order that failed so often for no reason of its own is given up; the queue tries no more often either. */
const mostTries = 3;

/** Queue of plans: reads the devices of a rollout site by site, and says which of them come when. */
export const handler = async (event: SQSEvent, context: Context): Promise<SQSBatchResponse> => {
  const planner: Planner = {
    directory,
    plans,
    devicesOf: ({ definition }) => candidateSource({ devices, directory }, definition),
    now: () => new Date(),
    hasTime: () => context.getRemainingTimeInMillis() > timeForEndMilliseconds,
  };
  const failed: SQSBatchResponse['batchItemFailures'] = [];
  for (const record of event.Records) {
    try {
      logger.info('rollout planned', { ...(await carryOut(planner, record)) });
    } catch (error) {
      logger.error('planning failed', { messageId: record.messageId, ...describeFailure(error) });
      failed.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures: failed };
};

async function carryOut(planner: Planner, record: SQSRecord): Promise<PlanEnd> {
  const order = v.parse(Order, JSON.parse(record.body));
  try {
    return await runPlan(planner, order);
  } catch (error) {
    if (Number(record.attributes.ApproximateReceiveCount) < mostTries) throw error;
    logger.error('planning is given up', { rolloutId: order.rolloutId, ...describeFailure(error) });
    return giveUpPlan(
      planner,
      order,
      'It could not be planned, for no reason of its own. Ask for the plan again later.',
    );
  }
}
