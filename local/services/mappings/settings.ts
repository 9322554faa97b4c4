import type { Cloud, Json, ResourceRequest } from '../../cloud.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { stableUuid } from '../identifiers.ts';
import { compilePattern, type Matcher } from '../patterns/pattern.ts';

/** An event source mapping as the template has it, with Lambda's defaults. */
export interface MappingSettings {
  readonly id: string;
  readonly functionArn: string;
  readonly sourceArn: string;
  readonly batchSize: number;
  /** Seconds to collect a batch. */
  readonly windowSeconds: number;
  readonly startingPosition: 'TRIM_HORIZON' | 'LATEST';
  /** -1: for ever. */
  readonly maximumRetries: number;
  /** Seconds; -1: for ever. */
  readonly maximumAgeSeconds: number;
  readonly bisect: boolean;
  readonly lanes: number;
  readonly failureArn: string | undefined;
  readonly reportsItemFailures: boolean;
  /** SQS: how many batches at a time. */
  readonly concurrency: number;
  /** An event is for the function when one of them matches; undefined: every event is. */
  readonly filters: readonly Matcher[] | undefined;
}

/** Lambda begins with five batches of a queue at a time. */
const QUEUE_CONCURRENCY = 5;

const position = (fields: Fields, logicalId: string): MappingSettings['startingPosition'] => {
  const value = fields.optionalText('StartingPosition') ?? 'LATEST';
  if (value !== 'TRIM_HORIZON' && value !== 'LATEST')
    throw new Error(`${logicalId}: StartingPosition ${value} is not emulated`);
  return value;
};

const responseTypes = (fields: Fields, logicalId: string): boolean => {
  const types = fields.texts('FunctionResponseTypes');
  const unknown = types.find((type) => type !== 'ReportBatchItemFailures');
  if (unknown !== undefined) throw new Error(`${logicalId}: FunctionResponseTypes ${unknown} is not known`);
  return types.length > 0;
};

const filtersOf = (fields: Fields, logicalId: string): readonly Matcher[] | undefined => {
  const filters = fields.optionalObject('FilterCriteria')?.objects('Filters') ?? [];
  if (filters.length === 0) return undefined;
  return filters.map((filter) => {
    const pattern = filter.text('Pattern');
    try {
      return compilePattern(JSON.parse(pattern) as Json);
    } catch (error) {
      throw new Error(
        `${logicalId}: the filter ${pattern} is not an event pattern: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  });
};

/** Reads the properties of AWS::Lambda::EventSourceMapping. */
export const mappingSettings = (resource: ResourceRequest, cloud: Cloud): MappingSettings => {
  const fields = new Fields(resource.properties as JsonObject);
  const sourceArn = fields.text('EventSourceArn');
  const isStream = sourceArn.startsWith('arn:aws:dynamodb:');
  const functionName = fields.text('FunctionName');
  return {
    id: stableUuid(`mapping ${cloud.account} ${cloud.region} ${resource.stackName} ${resource.logicalId}`),
    functionArn: functionName.startsWith('arn:') ? functionName : cloud.arn('lambda', `function:${functionName}`),
    sourceArn,
    batchSize: fields.optionalNumber('BatchSize') ?? (isStream ? 100 : 10),
    windowSeconds: fields.optionalNumber('MaximumBatchingWindowInSeconds') ?? 0,
    startingPosition: position(fields, resource.logicalId),
    maximumRetries: fields.optionalNumber('MaximumRetryAttempts') ?? -1,
    maximumAgeSeconds: fields.optionalNumber('MaximumRecordAgeInSeconds') ?? -1,
    bisect: fields.flag('BisectBatchOnFunctionError'),
    lanes: fields.optionalNumber('ParallelizationFactor') ?? 1,
    failureArn: fields.optionalObject('DestinationConfig')?.optionalObject('OnFailure')?.text('Destination'),
    reportsItemFailures: responseTypes(fields, resource.logicalId),
    concurrency: fields.optionalObject('ScalingConfig')?.optionalNumber('MaximumConcurrency') ?? QUEUE_CONCURRENCY,
    filters: filtersOf(fields, resource.logicalId),
  };
};
