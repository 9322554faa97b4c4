import {
  ForbiddenException,
  GatewayTimeoutException,
  InvalidRequestException,
  type IoTDataPlaneClient,
  RequestEntityTooLargeException,
  ResourceNotFoundException,
  SendDirectMessageCommand,
  UnauthorizedException,
} from '@aws-sdk/client-iot-data-plane';

/** Sends a JSON message to one connected client; false when it is not connected. */
export type Wake = (clientId: string, topic: string, message: object) => Promise<boolean>;

/** What became of a message; without a request for confirmation it is never `confirmed`. */
type Receipt = 'confirmed' | 'unconfirmed' | 'not-connected';

/** Sends a JSON message to one connected client and waits until it has it. */
export type WakeConfirmed = (clientId: string, topic: string, message: object) => Promise<Receipt>;

/** The broker will not pass this wake-up on however often it is asked (not permitted, not valid). */
export class WakeUpImpossible extends Error {
  constructor(cause: Error) {
    super(`The wake-up is impossible: ${cause.name}`, { cause });
    this.name = 'WakeUpImpossible';
  }
}

/** How long a device gets to confirm, seconds. Also what one that does not answer costs in time of the function. */
const confirmationSeconds = 5;

/**
 * Wakes a client through AWS IoT Core. Without confirmation: the message is a hint that may be lost, and waiting
 * seconds for the answer of a device that sleeps would hold up all others.
 * https://docs.aws.amazon.com/iot/latest/developerguide/direct-messaging.html
 */
export const iotWaker =
  (client: IoTDataPlaneClient): Wake =>
  async (clientId, topic, message) =>
    (await send(client, clientId, topic, message, {})) !== 'not-connected';

/**
 * Wakes a client and waits for its PUBACK, which proves that the connection works. The client must not repeat requests
 * by itself (`maxAttempts: 1`): no confirmation is an answer, and asking thrice would wait thrice as long.
 */
export const iotConfirmedWaker =
  (client: IoTDataPlaneClient): WakeConfirmed =>
  (clientId, topic, message) =>
    send(client, clientId, topic, message, { confirmation: true, timeout: confirmationSeconds });

async function send(
  client: IoTDataPlaneClient,
  clientId: string,
  topic: string,
  message: object,
  confirmation: { readonly confirmation?: true; readonly timeout?: number },
): Promise<Receipt> {
  try {
    await client.send(
      new SendDirectMessageCommand({
        clientId,
        topic,
        confirmation: false,
        contentType: 'application/json',
        payload: Buffer.from(JSON.stringify(message)),
        ...confirmation,
      }),
    );
    return confirmation.confirmation === true ? 'confirmed' : 'unconfirmed';
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return 'not-connected';
    if (error instanceof GatewayTimeoutException) return 'unconfirmed';
    if (lasting.some((kind) => error instanceof kind)) throw new WakeUpImpossible(error as Error);
    throw error;
  }
}

const lasting = [ForbiddenException, InvalidRequestException, RequestEntityTooLargeException, UnauthorizedException];
