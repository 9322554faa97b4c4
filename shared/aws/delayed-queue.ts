import { SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** Puts a message into a queue that readers see after a while, 15 minutes at most. */
export type SendLater = (message: object, delaySeconds: number) => Promise<void>;

/** Sends JSON messages to one queue with a delay each. */
export const delayedQueue =
  (client: SQSClient, queueUrl: string): SendLater =>
  async (message, delaySeconds) => {
    await client.send(
      new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: JSON.stringify(message),
        DelaySeconds: delaySeconds,
      }),
    );
  };
