import { Logger } from '@aws-lambda-powertools/logger';
import { KMSClient } from '@aws-sdk/client-kms';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { kmsSigner } from '../../shared/aws/kms-signer.ts';
import { systemClock } from '../../shared/clock.ts';
import { InvalidCertificateRequest, parseCertificateRequest } from '../../shared/enrollment/csr.ts';
import { issueForClaim } from '../../shared/enrollment/provision.ts';
import { issuedRecords } from '../../shared/enrollment/store.ts';

const logger = new Logger();

const means = {
  store: issuedRecords(openTable(requiredEnvironment('DEVICES_TABLE'))),
  sign: kmsSigner(new KMSClient(), requiredEnvironment('CA_KEY_ID')),
  authorityPem: requiredEnvironment('DEVICE_CA_CERTIFICATE'),
  certificateDays: Number(requiredEnvironment('CERTIFICATE_DAYS')),
  now: systemClock,
};

/** What AWS IoT sends to a certificate provider. */
interface CertificateProviderEvent {
  readonly certificateSigningRequest: string;
  readonly principalId: string;
  readonly clientId: string;
}

/**
 * AWS IoT certificate provider: answers `CreateCertificateFromCsr` with a certificate of our device CA, within 5 s. An
 * error is a refusal; the device sees only that.
 */
export const handler = async (event: CertificateProviderEvent): Promise<{ certificatePem: string }> => {
  try {
    const request = parseCertificateRequest(event.certificateSigningRequest);
    const certificate = await issueForClaim(request, means);
    logger.info('certificate issued', { clientId: event.clientId, certificate: certificate.fingerprint });
    return { certificatePem: certificate.pem };
  } catch (error) {
    if (!(error instanceof InvalidCertificateRequest)) throw error;
    logger.warn('request refused', { clientId: event.clientId, principalId: event.principalId, reason: error.message });
    throw new Error(error.message);
  }
};
