import { type IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane';

/** Publishes a JSON message to a topic, at most once (QoS 0). */
export type Publish = (topic: string, message: object) => Promise<void>;

/**
 * Publishes through AWS IoT Core. QoS 0: a reply that is lost is a check-in repeated, which is harmless; one that waited in
 * a session for hours would be wrong by then, and its acknowledgement would be a third of the price of the check-in.
 */
export const iotPublisher =
  (client: IoTDataPlaneClient): Publish =>
  async (topic, message) => {
    await client.send(
      new PublishCommand({
        topic,
        qos: 0,
        contentType: 'application/json',
        payload: Buffer.from(JSON.stringify(message)),
      }),
    );
  };
