import { Logger } from '@aws-lambda-powertools/logger';
import { IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { keepRecord } from '../../shared/audit/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotWaker } from '../../shared/aws/iot-waker.ts';
import { systemClock } from '../../shared/clock.ts';
import { serve } from '../../shared/http/api.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import { Guard } from '../../shared/identity/guard.ts';
import { loadPolicies } from '../../shared/identity/policy-set.ts';
import { readInterlock } from '../../shared/interlock/settings.ts';
import { placeReader } from '../../shared/places/facts.ts';
import { shadowHandlers } from './shadow.ts';
import { signalHandlers } from './signals.ts';

const logger = new Logger({ serviceName: 'manage-interlock' });
const devices = openTable(requiredEnvironment('DEVICES_TABLE'));
const services = {
  devices,
  guard: new Guard(loadPolicies(), (record) => keepRecord(devices, record)),
  placeOf: placeReader(openTable(requiredEnvironment('DIRECTORY_TABLE')), systemClock),
  interlock: readInterlock(requiredEnvironment('INTERLOCK')),
  wake: iotWaker(new IoTDataPlaneClient()),
  wakeFailed: (deviceId: string, error: unknown) =>
    logger.error('wake-up failed', { deviceId, ...describeFailure(error) }),
};

/** Signals and rules of the clinical interlock in the management API. */
export const handler = serve('manage-interlock', { ...signalHandlers(services), ...shadowHandlers(services) });
