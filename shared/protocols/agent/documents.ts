import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { parameterSchemas } from '../../commands/types.ts';
import {
  CheckInMessage,
  CheckInRefusal,
  CheckInReply,
  CommandResult,
  checkInLimitBytes,
  depthLimit,
  HandedCommand,
  WakeUp,
} from './messages.ts';
import { acceptedTopic, checkInTopic, rejectedTopic, wakeTopic } from './topics.ts';

/**
 * The machine-readable description of the agent protocol, made from the schemas that check the messages. Used by the
 * script that writes docs/protocols and by the test that compares; no function imports it.
 */

/** A JSON object. */
type Json = Readonly<Record<string, unknown>>;

/** The JSON Schema (draft 2020-12) of a message. Devices may send and must accept members that are not listed. */
function jsonSchema(schema: v.GenericSchema, title: string, description: string): Json {
  const { $schema, ...rest } = toJsonSchema(schema, {
    typeMode: 'input',
    errorMode: 'ignore',
    target: 'draft-2020-12',
    // The one schema of our own: an object whose members are the device's.
    overrideSchema: ({ valibotSchema }) => (valibotSchema.type === 'custom' ? { type: 'object' } : undefined),
  });
  return { $schema, title, description, ...rest };
}

/** The parameters of all command types, by type. */
function parametersSchema(): Json {
  const types = Object.entries(parameterSchemas).map(([type, schema]) => {
    const { $schema: _same, ...parameters } = jsonSchema(schema, type, `Parameters of ${type}.`);
    return [type, parameters] as const;
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Command parameters',
    description: 'One schema for each command type, in $defs. An agent ignores parameters that it does not know.',
    $defs: Object.fromEntries(types),
  };
}

/** The JSON Schema files, by file name. */
export const schemaFiles: Readonly<Record<string, Json>> = {
  'check-in.schema.json': jsonSchema(
    CheckInMessage,
    'CheckIn',
    `What a device sends. At most ${checkInLimitBytes} bytes, nested at most ${depthLimit} levels.`,
  ),
  'check-in-reply.schema.json': jsonSchema(CheckInReply, 'CheckInReply', 'What it gets back.'),
  'check-in-refusal.schema.json': jsonSchema(
    CheckInRefusal,
    'CheckInRefusal',
    'Why a check-in was not served (RFC 9457).',
  ),
  'command-result.schema.json': jsonSchema(CommandResult, 'CommandResult', 'What a device says became of one command.'),
  'command.schema.json': jsonSchema(HandedCommand, 'Command', 'A command as the device gets it.'),
  'command-parameters.schema.json': parametersSchema(),
  'wake-up.schema.json': jsonSchema(WakeUp, 'WakeUp', 'Check in now. It says nothing of what waits.'),
};

/** A schema as a part of the AsyncAPI document, which declares the dialect once. */
function payload(file: string): Json {
  const { $schema: _dialect, ...schema } = schemaFiles[file] ?? {};
  return { schemaFormat: 'application/schema+json;version=draft-2020-12', schema };
}

const thing = '{thing}';
const channelParameters = {
  thing: { description: 'The device id: thing name, MQTT client id and common name of the certificate.' },
};

/** The AsyncAPI 3 document of the MQTT side. */
export function asyncApiDocument(): Json {
  const channel = (address: string, message: string, description: string): Json => ({
    address,
    description,
    messages: { [message]: { $ref: `#/components/messages/${message}` } },
    parameters: channelParameters,
  });
  const operation = (action: 'send' | 'receive', name: string, summary: string, more: Json = {}): Json => ({
    action,
    channel: { $ref: `#/channels/${name}` },
    summary,
    ...more,
  });
  const message = (file: string, title: string): Json => ({
    title,
    contentType: 'application/json',
    payload: payload(file),
  });
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Wardline agent protocol',
      version: '1.0.0',
      description: 'Check-in of a device over MQTT 3.1.1, seen from the device. docs/protocols/agent.md explains it.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: {
      broker: {
        host: 'endpoint-ats.iot.region.amazonaws.com:8883',
        protocol: 'mqtts',
        protocolVersion: '3.1.1',
        description: 'AWS IoT Core of the hospital; TLS with the identity certificate, client id = device id.',
        security: [{ type: 'X509' }],
      },
    },
    channels: {
      checkIn: channel(checkInTopic(thing), 'checkIn', 'Check-ins through the message broker.'),
      checkInBasicIngest: channel(
        `$aws/rules/wardline_checkin/${checkInTopic(thing)}`,
        'checkIn',
        'Check-ins past the message broker: the same, without the charge for a message.',
      ),
      accepted: channel(acceptedTopic(thing), 'checkInReply', 'Subscribe before the first check-in.'),
      rejected: channel(rejectedTopic(thing), 'checkInRefusal', 'Subscribe before the first check-in.'),
      wake: channel(wakeTopic(thing), 'wakeUp', 'Arrives without a subscription; subscribing does no harm.'),
    },
    operations: {
      checkIn: operation('send', 'checkIn', 'Report, and ask what there is to do', {
        bindings: { mqtt: { qos: 1, retain: false } },
        reply: { channel: { $ref: '#/channels/accepted' } },
      }),
      checkInBasicIngest: operation('send', 'checkInBasicIngest', 'The same, past the message broker', {
        bindings: { mqtt: { qos: 1, retain: false } },
        reply: { channel: { $ref: '#/channels/accepted' } },
      }),
      takeReply: operation('receive', 'accepted', 'Carry out the commands, adopt the desired state'),
      takeRefusal: operation('receive', 'rejected', 'Learn what was wrong with a check-in'),
      wakeUp: operation('receive', 'wake', 'Check in now'),
    },
    components: {
      messages: {
        checkIn: message('check-in.schema.json', 'Check-in'),
        checkInReply: message('check-in-reply.schema.json', 'Reply'),
        checkInRefusal: message('check-in-refusal.schema.json', 'Refusal'),
        wakeUp: message('wake-up.schema.json', 'Wake-up'),
      },
    },
  };
}

/** All generated files of docs/protocols, by their path in it. */
export const protocolFiles = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries({ 'agent.asyncapi.json': asyncApiDocument(), ...schemaFiles }).map(([name, content]) => [
      name.endsWith('.schema.json') ? `agent/${name}` : name,
      `${JSON.stringify(content, null, 2)}\n`,
    ]),
  );
