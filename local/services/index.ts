import type { Part } from '../cloud.ts';
import { DynamoDb } from './dynamodb/part.ts';
import { kmsPart } from './kms/part.ts';
import { mappingsPart } from './mappings/part.ts';
import { sqsPart } from './sqs/part.ts';
import { Queues } from './sqs/queues.ts';

/** The emulated AWS services beside Lambda, API Gateway, IAM and IoT, ready to be attached to a cloud. */
export const serviceParts = (): Part[] => {
  const dynamoDb = new DynamoDb();
  const queues = new Queues();
  return [kmsPart(), dynamoDb.part(), sqsPart(queues), mappingsPart(dynamoDb, queues)];
};
