import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';

/**
 * Sends messages to a queue, as few requests as it takes.
 *
 * @returns the indexes of those that the queue did not take
 */
export type SendAll = (messages: readonly object[]) => Promise<number[]>;

/** What SQS takes in one request. */
const messagesOfRequest = 10;
/** Less than what SQS takes in one request, bytes: room for what it counts besides the bodies. */
const bytesOfRequest = 250_000;

/** Sends JSON messages to one queue. It never throws: what was not taken is said, so that none is forgotten. */
export const batchSender =
  (client: SQSClient, queueUrl: string, report: (error: unknown) => void): SendAll =>
  async (messages) => {
    const requests = requestsOf(messages.map((message) => JSON.stringify(message)));
    const failed = await Promise.all(
      requests.map(async (entries) => {
        try {
          const answer = await client.send(
            new SendMessageBatchCommand({
              QueueUrl: queueUrl,
              Entries: entries.map(({ index, body }) => ({ Id: String(index), MessageBody: body })),
            }),
          );
          const refused = answer.Failed ?? [];
          if (refused.length > 0) report(new Error(`The queue refused ${refused.length}: ${refused[0]?.Code}`));
          return refused.map(({ Id }) => Number(Id));
        } catch (error) {
          report(error);
          return entries.map(({ index }) => index);
        }
      }),
    );
    return failed.flat().sort((a, b) => a - b);
  };

interface Entry {
  readonly index: number;
  readonly body: string;
}

function requestsOf(bodies: readonly string[]): Entry[][] {
  const requests: Entry[][] = [];
  let bytes = 0;
  for (const [index, body] of bodies.entries()) {
    const size = Buffer.byteLength(body);
    const last = requests.at(-1);
    if (last === undefined || last.length === messagesOfRequest || bytes + size > bytesOfRequest) {
      requests.push([{ index, body }]);
      bytes = size;
    } else {
      last.push({ index, body });
      bytes += size;
    }
  }
  return requests;
}
