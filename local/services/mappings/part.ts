import type { Cloud, Part, ResourceRequest } from '../../cloud.ts';
import type { DynamoDb } from '../dynamodb/part.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { serviceOfArn } from '../identifiers.ts';
import type { Queues } from '../sqs/queues.ts';
import { authorizeFailureDestination } from './failure-destination.ts';
import { QueueMapping } from './queue-mapping.ts';
import { mappingSettings } from './settings.ts';
import { StreamMapping } from './stream-mapping.ts';

/** Event source mappings of Lambda for DynamoDB streams and SQS queues. */
export const mappingsPart = (dynamoDb: DynamoDb, queues: Queues): Part => {
  const created: (StreamMapping | QueueMapping)[] = [];
  const running: (StreamMapping | QueueMapping)[] = [];
  const create = async (resource: ResourceRequest, cloud: Cloud) => {
    const settings = mappingSettings(resource, cloud);
    const fields = new Fields(resource.properties as JsonObject);
    const service = serviceOfArn(settings.sourceArn);
    if (service !== 'dynamodb' && service !== 'sqs') {
      throw new Error(`${resource.logicalId}: the local cloud has no event source mapping for ${settings.sourceArn}`);
    }
    const mapping =
      service === 'dynamodb' ? new StreamMapping(settings, cloud, dynamoDb) : new QueueMapping(settings, cloud, queues);
    await mapping.prepare();
    authorizeFailureDestination(settings, cloud, queues);
    if (!fields.has('Enabled') || fields.flag('Enabled')) created.push(mapping);
    return {
      ref: settings.id,
      attributes: {
        Id: settings.id,
        EventSourceMappingArn: cloud.arn('lambda', `event-source-mapping:${settings.id}`),
      },
    };
  };
  return {
    name: 'event source mappings',
    resources: [
      {
        type: 'AWS::Lambda::EventSourceMapping',
        honoured: [
          'EventSourceArn',
          'FunctionName',
          'Enabled',
          'BatchSize',
          'MaximumBatchingWindowInSeconds',
          'StartingPosition',
          'MaximumRetryAttempts',
          'MaximumRecordAgeInSeconds',
          'BisectBatchOnFunctionError',
          'ParallelizationFactor',
          'DestinationConfig.OnFailure.Destination',
          'FunctionResponseTypes',
          'ScalingConfig.MaximumConcurrency',
          'FilterCriteria.Filters.Pattern',
        ],
        leftOut: {
          KmsKeyArn: 'filter criteria are not encrypted here',
          MetricsConfig: 'there is no CloudWatch here',
          Tags: 'tags change nothing here',
        },
        create,
      },
    ],
    start() {
      for (const mapping of created.splice(0)) {
        mapping.start();
        running.push(mapping);
      }
    },
    stop() {
      for (const mapping of running.splice(0)) mapping.stop();
    },
  };
};
