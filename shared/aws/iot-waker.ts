import {
  ForbiddenException,
  InvalidRequestException,
  type IoTDataPlaneClient,
  RequestEntityTooLargeException,
  ResourceNotFoundException,
  SendDirectMessageCommand,
  UnauthorizedException,
} from '@aws-sdk/client-iot-data-plane';

/** Sends a JSON message to one connected client; false when it is not connected. */
export type Wake = (clientId: string, topic: string, message: object) => Promise<boolean>;

/** The broker will not pass this wake-up on however often it is asked (not permitted, not valid). */
export class WakeUpImpossible extends Error {
  constructor(cause: Error) {
    super(`The wake-up is impossible: ${cause.name}`, { cause });
    this.name = 'WakeUpImpossible';
  }
}

/**
 * Wakes a client through AWS IoT Core. Without confirmation: the message is a hint that may be lost, and waiting
 * seconds for the answer of a device that sleeps would hold up all others.
 * https://docs.aws.amazon.com/iot/latest/developerguide/direct-messaging.html
 */
export const iotWaker =
  (client: IoTDataPlaneClient): Wake =>
  async (clientId, topic, message) => {
    try {
      await client.send(
        new SendDirectMessageCommand({
          clientId,
          topic,
          confirmation: false,
          contentType: 'application/json',
          payload: Buffer.from(JSON.stringify(message)),
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return false;
      if (lasting.some((kind) => error instanceof kind)) throw new WakeUpImpossible(error as Error);
      throw error;
    }
  };

const lasting = [ForbiddenException, InvalidRequestException, RequestEntityTooLargeException, UnauthorizedException];
