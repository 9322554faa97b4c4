import { Logger } from '@aws-lambda-powertools/logger';
import { IoTClient } from '@aws-sdk/client-iot';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import * as v from 'valibot';
import { iotDisconnector } from '../../shared/aws/iot-disconnector.ts';
import { iotCertificateSwitch } from '../../shared/aws/iot-registrar.ts';
import { RetireChange } from '../../shared/devices/hand-on.ts';
import { cutOff, outdatedCertificates } from '../../shared/enrollment/revoke.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();
const switches = iotCertificateSwitch(new IoTClient());
const connections = iotDisconnector(new IoTDataPlaneClient());

/**
 * Queue of changes of devices whose certificates may have changed: switches off in AWS IoT Core what the record no longer
 * names, and cuts off a revoked device. A change that fails comes again, for a day; the others are done. All of it may be
 * repeated, and the order does not matter: a certificate that was retired is never used again.
 */
export const handler = async (event: SQSEvent): Promise<SQSBatchResponse> => {
  const batchItemFailures: SQSBatchResponse['batchItemFailures'] = [];
  for (const record of event.Records) {
    try {
      await retire(record);
    } catch (error) {
      logger.error('certificates could not be switched off', {
        messageId: record.messageId,
        ...describeFailure(error),
      });
      batchItemFailures.push({ itemIdentifier: record.messageId });
    }
  }
  return { batchItemFailures };
};

async function retire({ body }: SQSRecord): Promise<void> {
  const { before, after } = v.parse(RetireChange, JSON.parse(body));
  const { revoked, retired } = outdatedCertificates(before, after);
  if (revoked) await cutOff(after, switches, connections);
  for (const fingerprint of retired) await switches.retire(fingerprint);
  if (revoked || retired.length > 0) logger.info('certificates switched off', { deviceId: after.id, revoked, retired });
}
