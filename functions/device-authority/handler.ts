import { Logger } from '@aws-lambda-powertools/logger';
import { GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { answerCustomResource, type CustomResourceResult } from '../../shared/aws/custom-resource.ts';
import { requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { kmsSigner } from '../../shared/aws/kms-signer.ts';
import { onceRoleIsKnown } from '../../shared/aws/new-role.ts';
import { s3Truststore } from '../../shared/aws/s3-truststore.ts';
import { systemClock } from '../../shared/clock.ts';
import { ensureAuthority } from '../../shared/enrollment/authority.ts';

const logger = new Logger();
const kms = new KMSClient();
const keyId = requiredEnvironment('CA_KEY_ID');
const bucket = requiredEnvironment('TRUSTSTORE_BUCKET');
const objectKey = 'truststore.pem';
const truststore = s3Truststore(new S3Client(), bucket, objectKey);

/**
 * CloudFormation custom resource `Custom::DeviceAuthority`. Create and Update give the CA certificate of the key and
 * the truststore that holds it; Delete keeps both, because devices in the field still present certificates of it.
 *
 * Property `CommonName` (optional): name of the CA, used when its certificate is made.
 * Attributes: `CertificatePem`, `TruststoreUri`, `TruststoreVersion`.
 */
export const handler = async (event: CloudFormationCustomResourceEvent): Promise<void> => {
  logger.info('device authority', { request: event.RequestType, logicalId: event.LogicalResourceId });
  await answerCustomResource(event, async () =>
    event.RequestType === 'Delete'
      ? { physicalResourceId: event.PhysicalResourceId, attributes: {} }
      : await onceRoleIsKnown(() => ensure(event.ResourceProperties['CommonName'])),
  );
};

async function ensure(commonName: unknown): Promise<CustomResourceResult> {
  const { PublicKey } = await kms.send(new GetPublicKeyCommand({ KeyId: keyId }));
  if (PublicKey === undefined) throw new Error('KMS answered without a public key');
  const { certificatePem, truststoreVersion } = await ensureAuthority(
    {
      commonName: typeof commonName === 'string' ? commonName : 'Wardline device CA',
      publicKey: PublicKey,
      sign: kmsSigner(kms, keyId),
      now: systemClock(),
    },
    truststore,
  );
  return {
    physicalResourceId: `device-authority-${keyId}`,
    attributes: {
      CertificatePem: certificatePem,
      TruststoreUri: `s3://${bucket}/${objectKey}`,
      TruststoreVersion: truststoreVersion,
    },
  };
}
