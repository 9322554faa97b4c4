import type { Part } from '../cloud.ts';
import { DynamoDb } from './dynamodb/part.ts';
import { eventsPart } from './events/part.ts';
import { kmsPart } from './kms/part.ts';
import { mappingsPart } from './mappings/part.ts';
import { s3Part } from './s3/part.ts';
import { schedulerPart } from './scheduler/part.ts';
import { secretsPart } from './secrets/part.ts';
import { snsPart } from './sns/part.ts';
import { sqsPart } from './sqs/part.ts';
import { Queues } from './sqs/queues.ts';
import { statesPart } from './states/part.ts';

/** What the services may be told. */
export interface ServiceOptions {
  /** Where SNS writes e-mails, a line of JSON each; without it the local cloud's log tells them. */
  readonly mailFile?: string;
}

/** The emulated AWS services beside Lambda, API Gateway, IAM and IoT, ready to be attached to a cloud. */
export const serviceParts = (options: ServiceOptions = {}): Part[] => {
  const dynamoDb = new DynamoDb();
  const queues = new Queues();
  return [
    kmsPart(),
    dynamoDb.part(),
    s3Part(),
    sqsPart(queues),
    snsPart(options.mailFile),
    secretsPart(),
    schedulerPart(),
    statesPart(),
    eventsPart(),
    mappingsPart(dynamoDb, queues),
  ];
};
