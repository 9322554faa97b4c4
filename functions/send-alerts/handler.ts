import { Logger } from '@aws-lambda-powertools/logger';
import { SNSClient } from '@aws-sdk/client-sns';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { alertOf } from '../../shared/alerts/store.ts';
import { requiredEnvironment } from '../../shared/aws/environment.ts';
import { snsNotifier } from '../../shared/aws/sns-notifier.ts';
import { decodeChange } from '../../shared/aws/stream.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const notify = snsNotifier(new SNSClient(), requiredEnvironment('ALERTS_TOPIC'));

/**
 * Stream of the Directory table, new alerts: sends each to the alert topic, in their order. Lambda repeats the batch from
 * the record that failed; an alert that is sent twice names the same id.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  for (const change of event.Records.map(decodeChange)) {
    if (change.after === undefined) continue;
    const alert = alertOf(change.after);
    try {
      await notify(`Wardline ${alert.kind}: ${alert.summary}`, alert, { kind: alert.kind });
      logger.warn('alert', { ...alert });
    } catch (error) {
      logger.error('alert not sent', { alertId: alert.id, kind: alert.kind, ...describeFailure(error) });
      return { batchItemFailures: [{ itemIdentifier: change.sequenceNumber }] };
    }
  }
  return { batchItemFailures: [] };
};
