import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics } from '@aws-lambda-powertools/metrics';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotPublisher } from '../../shared/aws/iot-publisher.ts';
import { brakeReader } from '../../shared/brake/store.ts';
import { systemClock } from '../../shared/clock.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { placeReader } from '../../shared/places/facts.ts';
import { checkInJournal } from './journal.ts';
import { type HttpsCheckIn, serveHttps } from './over-https.ts';
import { isMqttCheckIn, type MqttCheckIn, serveMqtt } from './over-mqtt.ts';

const directory = openTable(requiredEnvironment('DIRECTORY_TABLE'));
const means = {
  table: openTable(requiredEnvironment('DEVICES_TABLE')),
  surroundings: {
    now: systemClock,
    random: Math.random,
    directory,
    readBrakes: brakeReader(directory),
    placeOf: placeReader(directory, systemClock),
    interlock: readInterlock(requiredEnvironment('INTERLOCK')),
  },
  publish: iotPublisher(new IoTDataPlaneClient()),
  journal: checkInJournal(new Logger(), new Metrics()),
};

/** A check-in, over MQTT (from the topic rule; the reply is published) or HTTPS (the reply is the response). */
export const handler = async (
  event: HttpsCheckIn | MqttCheckIn,
): Promise<APIGatewayProxyStructuredResultV2 | undefined> => {
  try {
    if (!isMqttCheckIn(event)) return await serveHttps(event, means);
    await serveMqtt(event, means);
    return undefined;
  } finally {
    means.journal.flush();
  }
};
