import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CertificateStatus,
  CreateThingCommand,
  type IoTClient,
  RegisterCertificateWithoutCACommand,
  ResourceAlreadyExistsException,
  ResourceNotFoundException,
  ThingPrincipalType,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot';
import type { CertificateSwitch, ThingRegistrar } from '../enrollment/registrar.ts';

/**
 * Registers devices with AWS IoT Core. Each step may be repeated: what exists already is taken as done. The policy
 * comes last, because a certificate without one may do nothing: a crash in between leaves no half-usable identity.
 *
 * @param policyName the IoT policy of all devices; its variables limit each device to its own name
 * @param thingTypeName the thing type of all devices
 */
export function iotRegistrar(client: IoTClient, policyName: string, thingTypeName: string): ThingRegistrar {
  return {
    ...iotCertificateSwitch(client),
    async register(id, certificatePem) {
      const principal = await registeredCertificate(client, certificatePem);
      await createThing(client, id, thingTypeName);
      await client.send(
        new AttachThingPrincipalCommand({
          thingName: id,
          principal,
          thingPrincipalType: ThingPrincipalType.EXCLUSIVE_THING,
        }),
      );
      await client.send(new AttachPolicyCommand({ policyName, target: principal }));
    },
  };
}

/** Switches certificates off in AWS IoT Core; needs only `iot:UpdateCertificate`. */
export function iotCertificateSwitch(client: IoTClient): CertificateSwitch {
  const set = (fingerprint: string, newStatus: CertificateStatus) =>
    ignoreMissing(() => client.send(new UpdateCertificateCommand({ certificateId: fingerprint, newStatus })));
  return {
    retire: (fingerprint) => set(fingerprint, CertificateStatus.INACTIVE),
    revoke: (fingerprint) => set(fingerprint, CertificateStatus.REVOKED),
  };
}

/** The ARN of the certificate, registered now or before. A repetition does not touch its status. */
async function registeredCertificate(client: IoTClient, certificatePem: string): Promise<string> {
  try {
    const { certificateArn } = await client.send(
      new RegisterCertificateWithoutCACommand({ certificatePem, status: CertificateStatus.ACTIVE }),
    );
    if (certificateArn !== undefined) return certificateArn;
  } catch (error) {
    if (!(error instanceof ResourceAlreadyExistsException)) throw error;
    if (error.resourceArn !== undefined) return error.resourceArn;
  }
  throw new Error('AWS IoT Core did not name the certificate');
}

async function createThing(client: IoTClient, thingName: string, thingTypeName: string): Promise<void> {
  try {
    await client.send(new CreateThingCommand({ thingName, thingTypeName }));
  } catch (error) {
    // It exists with other attributes, which somebody gave it: they are none of ours.
    if (!(error instanceof ResourceAlreadyExistsException)) throw error;
  }
}

async function ignoreMissing(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
}
