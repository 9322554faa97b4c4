import { Logger } from '@aws-lambda-powertools/logger';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { notePresence } from '../../shared/devices/note-presence.ts';
import { PresenceEvent } from '../../shared/devices/presence.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const table = openTable(requiredEnvironment('DEVICES_TABLE'));

/** Queue of presence events: records who connected and disconnected. An event that fails goes back to the queue. */
export const handler = async (event: SQSEvent): Promise<SQSBatchResponse> => {
  const failures = await Promise.all(event.Records.map(failureOf));
  return { batchItemFailures: failures.flat() };
};

async function failureOf(record: SQSRecord): Promise<SQSBatchResponse['batchItemFailures']> {
  try {
    await notePresence(table, v.parse(PresenceEvent, JSON.parse(record.body)));
    return [];
  } catch (error) {
    logger.error('presence event failed', { messageId: record.messageId, ...describeFailure(error) });
    return [{ itemIdentifier: record.messageId }];
  }
}
