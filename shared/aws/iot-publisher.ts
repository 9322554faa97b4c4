import { type IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';

/** Publishes a JSON message to a topic, at least once (QoS 1). */
export type Publish = (topic: string, message: object) => Promise<void>;

/** Publishes through AWS IoT Core. */
export const iotPublisher =
  (client: IoTDataPlaneClient): Publish =>
  async (topic, message) => {
    await client.send(
      new PublishCommand({
        topic,
        qos: 1,
        contentType: 'application/json',
        payload: Buffer.from(JSON.stringify(message)),
      }),
    );
  };
