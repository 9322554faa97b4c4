import { Duration } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

/** The dead-letter queue of a work queue: encrypted, TLS only, two weeks to look at what lies there. */
export function deadLetterQueue(scope: Construct, id: string, name: string, key: IKey): Queue {
  const queue = new Queue(scope, id, {
    queueName: name,
    encryption: QueueEncryption.KMS,
    encryptionMasterKey: key,
    dataKeyReuse: Duration.hours(1),
    enforceSSL: true,
    retentionPeriod: Duration.days(14),
  });
  acknowledge(queue, { 'Serverless-SQSRedrivePolicy': 'This is where failures end.' });
  return queue;
}

/** A queue for what something other than a queue (a stream, a topic rule, Lambda) could not deliver. */
export function failureQueue(scope: Construct, id: string, name: string, key: IKey): Queue {
  const queue = deadLetterQueue(scope, id, name, key);
  acknowledge(queue, { 'AwsSolutions-SQS3': 'This is where failures end; no work queue points to it.' });
  return queue;
}

/** A work queue and where its failures go. */
export interface WorkQueueProps {
  readonly name: string;
  readonly key: IKey;
  /** At least six times the timeout of the function that reads it, as Lambda advises. */
  readonly visibilityTimeout: Duration;
  readonly delay?: Duration;
  /** How often a message is tried before it goes to the dead-letter queue. */
  readonly attempts: number;
  readonly deadLetters: Queue;
}

/** An encrypted work queue with a dead-letter queue. */
export function workQueue(scope: Construct, id: string, props: WorkQueueProps): Queue {
  return new Queue(scope, id, {
    queueName: props.name,
    encryption: QueueEncryption.KMS,
    encryptionMasterKey: props.key,
    dataKeyReuse: Duration.hours(1),
    enforceSSL: true,
    visibilityTimeout: props.visibilityTimeout,
    ...(props.delay === undefined ? {} : { deliveryDelay: props.delay }),
    retentionPeriod: Duration.days(4),
    deadLetterQueue: { queue: props.deadLetters, maxReceiveCount: props.attempts },
  });
}
