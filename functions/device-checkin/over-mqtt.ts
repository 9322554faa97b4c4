import { Channel } from '../../shared/devices/device.ts';
import { refusalProblem } from '../../shared/devices/refusals.ts';
import { serveCheckIn } from '../../shared/devices/serve-check-in.ts';
import { ProblemError, problems } from '../../shared/http/problem.ts';
import { clientTokenOf, parseCheckIn } from '../../shared/protocols/agent/parse.ts';
import { acceptedTopic, rejectedTopic } from '../../shared/protocols/agent/topics.ts';
import type { Means } from './means.ts';

/** What the topic rule `wardline_checkin` hands over. */
export interface MqttCheckIn {
  /** The message as it was published, base64. */
  readonly payload: string;
  /** MQTT client id of the publisher. */
  readonly clientId: string;
  /** The thing that the topic names. */
  readonly thing: string;
  /** Id of the certificate that the connection was made with: SHA-256 of its DER, lower-case hex. */
  readonly principal: string;
  /** When the broker got it, milliseconds since the epoch. */
  readonly receivedAt: number;
}

/** Whether the event comes from the topic rule, not from the HTTP API. */
export const isMqttCheckIn = (event: object): event is MqttCheckIn => 'thing' in event && 'payload' in event;

/**
 * Serves a check-in over MQTT: publishes the reply to `.../accepted`, or what is wrong with the message to
 * `.../rejected`. What went wrong on our side is thrown, so that Lambda repeats the same event.
 */
export async function serveMqtt(event: MqttCheckIn, means: Means): Promise<void> {
  const body = Buffer.from(event.payload, 'base64');
  try {
    // The device policy lets a device publish to its own topic only; this holds even if somebody loosens the policy.
    if (event.clientId !== event.thing) throw problems.forbidden('A device can check in for itself only.');
    const message = parseCheckIn(body);
    const caller = { deviceId: event.thing, certificate: event.principal, channel: Channel.Mqtt };
    const receivedAt = Math.min(event.receivedAt, means.surroundings.now());
    const outcome = await serveCheckIn(means.table, { caller, message, receivedAt }, means.surroundings);
    if ('refusal' in outcome) throw refusalProblem(outcome.refusal);
    await means.publish(acceptedTopic(event.thing), outcome.reply);
    means.journal.served(event.thing, Channel.Mqtt, outcome);
  } catch (error) {
    if (!(error instanceof ProblemError)) {
      means.journal.failed(event.thing, Channel.Mqtt, error);
      throw error;
    }
    means.journal.refused(event.thing, Channel.Mqtt, error.problem);
    const clientToken = clientTokenOf(body);
    // To whoever published, never to the device that the topic names: a stranger must not confuse it.
    await means.publish(rejectedTopic(event.clientId), {
      ...(clientToken === undefined ? {} : { clientToken }),
      ...error.problem,
    });
  }
}
