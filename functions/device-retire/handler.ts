import { Logger } from '@aws-lambda-powertools/logger';
import { IoTClient } from '@aws-sdk/client-iot';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import type { DynamoDBBatchResponse, DynamoDBStreamEvent } from 'aws-lambda';
import { iotDisconnector } from '../../shared/aws/iot-disconnector.ts';
import { iotCertificateSwitch } from '../../shared/aws/iot-registrar.ts';
import { decodeChange } from '../../shared/aws/stream.ts';
import { deviceOf } from '../../shared/devices/store.ts';
import { cutOff, outdatedCertificates } from '../../shared/enrollment/revoke.ts';

const logger = new Logger();
const switches = iotCertificateSwitch(new IoTClient());
const connections = iotDisconnector(new IoTDataPlaneClient());

/**
 * Stream of the Devices table, heads whose certificates may have changed: switches off in AWS IoT Core what the record
 * no longer names, and cuts off a revoked device. Stops at the first record that fails, so that Lambda goes on there.
 */
export const handler = async (event: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  for (const record of event.Records) {
    const { sequenceNumber, before, after } = decodeChange(record);
    if (before === undefined || after === undefined) continue;
    try {
      const device = deviceOf(after);
      const { revoked, retired } = outdatedCertificates(deviceOf(before), device);
      if (revoked) await cutOff(device, switches, connections);
      for (const fingerprint of retired) await switches.retire(fingerprint);
      if (revoked || retired.length > 0)
        logger.info('certificates switched off', { deviceId: device.id, revoked, retired });
    } catch (error) {
      logger.error('certificates could not be switched off', { sequenceNumber, error });
      return { batchItemFailures: [{ itemIdentifier: sequenceNumber }] };
    }
  }
  return { batchItemFailures: [] };
};
