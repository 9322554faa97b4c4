import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { SQSClient } from '@aws-sdk/client-sqs';
import { batchSender } from '../../shared/aws/batch-sender.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { forgetForward, listForwards } from '../../shared/devices/kept-forward-store.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const metrics = new Metrics();
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const sqs = new SQSClient();
const queueOf = (name: string) =>
  batchSender(sqs, requiredEnvironment(name), (error) => logger.error('not handed on', describeFailure(error)));
const send = { retire: queueOf('RETIRE_QUEUE_URL'), rollouts: queueOf('ROLLOUT_CHANGES_QUEUE_URL') };

/** Messages of one go; an outage that left more behind is made good in the minutes after it. */
const atOnce = 500;

/** Called each minute: hands on what `device-push` had to keep because a queue did not take it. */
export const handler = async (): Promise<void> => {
  const kept = await listForwards(devices, atOnce);
  let left = 0;
  for (const [queue, sendAll] of Object.entries(send)) {
    const own = kept.filter((one) => one.queue === queue);
    const refused = new Set(await sendAll(own.map(({ body }) => body)));
    left += refused.size;
    await Promise.all(own.filter((_, index) => !refused.has(index)).map((one) => forgetForward(devices, one)));
  }
  // Also none: the alarm wants to hear that somebody looked.
  metrics.singleMetric().addMetric('ForwardsLeft', MetricUnit.Count, left);
  if (kept.length > 0) logger.info('handed on what was kept', { kept: kept.length, left });
};
