import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { alarmOverdue } from '../../shared/reviews/watch.ts';

const metrics = new Metrics();
const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));

/** Called by a schedule every hour: raises alerts for reviews that are overdue, and counts them for the alarm. */
export const handler = async (): Promise<void> => {
  const overdue = await alarmOverdue(directory, new Date());
  // Also none: the alarm goes out only when it is told so.
  metrics.addMetric('ReviewsOverdue', MetricUnit.Count, overdue);
  metrics.publishStoredMetrics();
};
