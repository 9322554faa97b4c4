import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { KMSClient } from '@aws-sdk/client-kms';
import { S3Client } from '@aws-sdk/client-s3';
import { closeDays } from '../../shared/audit/archive/close.ts';
import { ChainStore } from '../../shared/audit/archive/store.ts';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { kmsDigestKey } from '../../shared/aws/kms-digest-key.ts';
import { s3Archive } from '../../shared/aws/s3-archive.ts';

const logger = new Logger();
const metrics = new Metrics();
const now = () => new Date();
const kms = new KMSClient();
const keyId = requiredEnvironment('AUDIT_KEY_ID');
const store = new ChainStore(openTable(requiredEnvironment('DIRECTORY_TABLE')), now);
const archive = s3Archive(new S3Client(), requiredEnvironment('AUDIT_BUCKET'));

/** Called by a schedule every hour: closes the days of the audit archive that are over, and signs what they hold. */
export const handler = async (): Promise<void> => {
  const key = await kmsDigestKey(kms, keyId);
  const days = await closeDays({ archive, chains: store, dayBook: store, key, now });
  logger.info('days closed', { days });
  // Also when there was nothing to do: the alarm watches for silence.
  metrics.addMetric('AuditDaysCurrent', MetricUnit.Count, 1);
  metrics.publishStoredMetrics();
};
