import { Logger } from '@aws-lambda-powertools/logger';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { systemClock } from '../../shared/clock.ts';
import {
  decideProvisioning,
  type ProvisioningMeans,
  type ProvisioningRequest,
} from '../../shared/enrollment/provision.ts';
import { enrollmentStore } from '../../shared/enrollment/store.ts';

const logger = new Logger();

const means: ProvisioningMeans = {
  store: enrollmentStore({
    devices: openTable(requiredEnvironment('DEVICES_TABLE')),
    directory: openTable(requiredEnvironment('DIRECTORY_TABLE')),
  }),
  authorityPem: requiredEnvironment('DEVICE_CA_CERTIFICATE'),
  now: systemClock,
};

/** What AWS IoT sends to a pre-provisioning hook, payload version 2020-04-01. */
interface HookEvent extends ProvisioningRequest {
  readonly claimCertificateId: string;
  readonly certificateId: string;
  readonly templateArn: string;
  readonly clientId: string;
}

/** What it wants back. `DeviceId` is the template's parameter that names the thing. */
interface HookAnswer {
  readonly allowProvisioning: boolean;
  readonly parameterOverrides?: { readonly DeviceId: string };
}

/** AWS IoT pre-provisioning hook: decides, within 5 s, whether the device may be provisioned. */
export const handler = async (event: HookEvent): Promise<HookAnswer> => {
  const result = await decideProvisioning(event, means);
  const { claimCertificateId, clientId } = event;
  if (result.outcome === 'refused') {
    logger.warn('provisioning refused', { claimCertificateId, clientId, reason: result.reason });
    return { allowProvisioning: false };
  }
  logger.info('provisioning allowed', { claimCertificateId, clientId, deviceId: result.deviceId });
  return { allowProvisioning: true, parameterOverrides: { DeviceId: result.deviceId } };
};
