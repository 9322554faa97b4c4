import type { AwsService, Cloud } from '../cloud.ts';
import type { Broker } from './broker.ts';
import { iotErrors } from './errors.ts';
import { flag, integer, label, type Operation, type OperationInput, restService } from './operations.ts';
import { MAX_PAYLOAD_BYTES, topicProblem } from './topics.ts';

/** Seconds that `SendDirectMessage` waits for a confirmation, and what may be asked. */
const CONFIRMATION = { least: 1, most: 15, normal: 5 } as const;
/** MQTT 5 properties of a message. Devices speak MQTT 3.1.1 here, for which AWS leaves them out too. */
const PROPERTIES = ['contentType', 'responseTopic'];
/** `GetConnection` knows a client for this long after it left. */
const REMEMBERED_MS = 30 * 60_000;

/**
 * The data plane (SigV4 name `iotdata`): publish, message one client, look at and end a connection.
 * https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT_Data_Plane.html
 */
export function dataPlane(cloud: Cloud, broker: Broker): AwsService {
  const onClient = (action: string) => (input: OperationInput) => [
    { action: `iot:${action}`, resource: cloud.arn('iot', `client/${label(input, 'clientId')}`) },
  ];
  const operations: Operation[] = [
    {
      name: 'Publish',
      method: 'POST',
      path: '/topics/{topic}',
      query: ['qos', 'retain', ...PROPERTIES],
      permissions(input) {
        const resource = cloud.arn('iot', `topic/${label(input, 'topic')}`);
        const publish = { action: 'iot:Publish', resource };
        return flag(input, 'retain') ? [publish, { action: 'iot:RetainPublish', resource }] : [publish];
      },
      execute(input, principal) {
        const topic = publishable(label(input, 'topic'), input.body);
        const qos = integer(input, 'qos', 0, 1) === 1 ? 1 : 0;
        broker.publish({ topic, payload: input.body, principal: principal.roleArn }, qos, flag(input, 'retain'));
        return { message: 'OK' };
      },
    },
    {
      name: 'SendDirectMessage',
      method: 'POST',
      path: '/connections/{clientId}/messages',
      query: ['topic', 'confirmation', 'timeout', ...PROPERTIES],
      permissions: (input) => [
        {
          action: 'iot:SendDirectMessage',
          resource: cloud.arn('iot', `client/${label(input, 'clientId')}`),
          context: { 'iot:topic': input.query['topic'] ?? '' },
        },
      ],
      async execute(input) {
        const clientId = label(input, 'clientId');
        if (clientId.startsWith('$') || clientId.length > 128)
          throw iotErrors.invalid(`Invalid client ID: ${clientId}`);
        const topic = publishable(input.query['topic'] ?? '', input.body);
        if (topic.startsWith('$')) throw iotErrors.invalid(`A direct message cannot use a reserved topic: ${topic}`);
        const seconds = integer(input, 'timeout', CONFIRMATION.least, CONFIRMATION.most) ?? CONFIRMATION.normal;
        await broker.sendDirect(
          clientId,
          topic,
          input.body,
          flag(input, 'confirmation') ? { timeoutMs: seconds * 1000 } : undefined,
        );
        return { message: 'OK' };
      },
    },
    {
      name: 'GetConnection',
      method: 'GET',
      path: '/connections/{clientId}',
      query: ['includeSocketInformation'],
      permissions: onClient('GetConnection'),
      execute(input) {
        const clientId = label(input, 'clientId');
        const connection = broker.connection(clientId);
        const last = broker.presence.last(clientId);
        const long =
          last?.disconnectedSince !== undefined && last.disconnectedSince + REMEMBERED_MS < cloud.clock.now();
        if (last === undefined || (long && !broker.hasSession(clientId)))
          throw iotErrors.notFound(`No connection of ${clientId} is known`);
        return {
          clientId,
          connected: last.connected,
          ...(last.thingName === undefined ? {} : { thingName: last.thingName }),
          cleanSession: last.cleanSession,
          keepAliveDuration: last.keepAlive,
          sessionExpiry: last.cleanSession ? 0 : 3600,
          ...(last.connected ? { connectedSince: last.connectedSince } : {}),
          ...(last.connected || last.disconnectedSince === undefined
            ? {}
            : { disconnectedSince: last.disconnectedSince }),
          ...(last.connected || last.disconnectReason === undefined ? {} : { disconnectReason: last.disconnectReason }),
          ...(flag(input, 'includeSocketInformation') && connection !== undefined
            ? {
                sourceIp: connection.ipAddress,
                sourcePort: connection.port,
                targetIp: '127.0.0.1',
                targetPort: cloud.ports.mqtt,
              }
            : {}),
        };
      },
    },
    {
      name: 'DeleteConnection',
      method: 'DELETE',
      path: '/connections/{clientId}',
      query: ['cleanSession', 'preventWillMessage'],
      permissions: onClient('DeleteConnection'),
      execute(input) {
        const clientId = label(input, 'clientId');
        const known = broker.disconnect(clientId, {
          endSession: flag(input, 'cleanSession'),
          preventWill: flag(input, 'preventWillMessage'),
        });
        if (!known) throw iotErrors.notFound(`No connection of ${clientId}`);
        return undefined;
      },
    },
    {
      name: 'GetRetainedMessage',
      method: 'GET',
      path: '/retainedMessage/{topic}',
      permissions: (input) => [
        { action: 'iot:GetRetainedMessage', resource: cloud.arn('iot', `topic/${label(input, 'topic')}`) },
      ],
      execute(input) {
        const topic = label(input, 'topic');
        const message = broker.retained(topic);
        if (message === undefined) throw iotErrors.notFound(`No retained message on ${topic}`);
        return { topic, payload: Buffer.from(message.payload).toString('base64'), qos: message.qos };
      },
    },
  ];
  return restService(['iotdata', 'iotdevicegateway'], operations);
}

function publishable(topic: string, payload: Buffer): string {
  const problem = topicProblem(topic);
  if (problem !== undefined) throw iotErrors.invalid(problem);
  if (payload.length > MAX_PAYLOAD_BYTES) throw iotErrors.tooLarge(`A message has at most ${MAX_PAYLOAD_BYTES} bytes`);
  return topic;
}
