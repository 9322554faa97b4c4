import { PublishCommand, type SNSClient } from '@aws-sdk/client-sns';

/** Sends a message to whoever is subscribed. */
export type Notify = (subject: string, message: object, attributes: Readonly<Record<string, string>>) => Promise<void>;

/** Publishes to one SNS topic; needs only `sns:Publish` on it (and its key). */
export const snsNotifier =
  (client: SNSClient, topicArn: string): Notify =>
  async (subject, message, attributes) => {
    await client.send(
      new PublishCommand({
        TopicArn: topicArn,
        // SNS takes 1 to 100 printable ASCII characters as the subject of a mail.
        Subject: subject.replace(/[^\x20-\x7e]/g, '?').slice(0, 100),
        Message: JSON.stringify(message, undefined, 2),
        MessageAttributes: Object.fromEntries(
          Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
        ),
      }),
    );
  };
