import {
  AwsError,
  type AwsRequest,
  type AwsService,
  type Cloud,
  type Json,
  type Part,
  type ResolvedCall,
} from '../cloud.ts';
import type { Roles } from '../iam/roles.ts';
import { objectOf, optionalNumber, optionalText, text } from '../template/read.ts';
import type { LambdaService } from './functions.ts';

const NOT_SHOWN = 'shown in the console of AWS only';
const RUNTIME = 'nodejs24.x';

/** Lambda's resource types, and its `Invoke` operation for functions that call others. */
export function lambdaPart(lambda: () => LambdaService, roles: Roles): Part {
  return {
    name: 'lambda',
    services: [lambdaApi(lambda)],
    resources: [
      {
        type: 'AWS::Lambda::Function',
        honoured: [
          'FunctionName',
          'Code.S3Bucket',
          'Code.S3Key',
          'Handler',
          'Runtime',
          'Role',
          'Environment.Variables',
          'Timeout',
          'MemorySize',
          'ReservedConcurrentExecutions',
          'DeadLetterConfig.TargetArn',
        ],
        leftOut: {
          Architectures: 'functions run on the processor of this machine',
          Description: NOT_SHOWN,
          EphemeralStorage: 'functions see the temporary folder of this machine',
          KmsKeyArn: 'environment variables are not encrypted at rest locally',
          LoggingConfig: 'what a function prints goes to .wardline/logs/<function>.log as it is',
          RecursiveLoop: 'loops are not detected locally',
          Tags: NOT_SHOWN,
          TracingConfig: 'there is no X-Ray locally; --trace lists the calls',
          VpcConfig: 'there is no VPC locally',
        },
        create: (resource, cloud) => {
          const { properties } = resource;
          const name = optionalText(properties['FunctionName']) ?? cloud.physicalName(resource);
          const runtime = optionalText(properties['Runtime']);
          if (runtime !== RUNTIME)
            throw new Error(`Runtime ${runtime ?? '(none)'} does not run locally, only ${RUNTIME}`);
          const code = objectOf(properties['Code']);
          const [bucket, key] = [text(code['S3Bucket'], 'Code.S3Bucket'), text(code['S3Key'], 'Code.S3Key')];
          const folder = cloud.assetPath(bucket, key);
          if (folder === undefined) throw new Error(`there is no asset ${bucket}/${key}`);
          const arn = cloud.arn('lambda', `function:${name}`);
          const roleArn = text(properties['Role'], 'Role');
          roles.assertTrusts(roleArn, 'lambda.amazonaws.com');
          const variables = objectOf(objectOf(properties['Environment'])['Variables']);
          lambda().define({
            name,
            arn,
            roleArn,
            folder,
            handler: text(properties['Handler'], 'Handler'),
            timeoutSeconds: optionalNumber(properties['Timeout']) ?? 3,
            memoryMegabytes: optionalNumber(properties['MemorySize']) ?? 128,
            reservedConcurrency: optionalNumber(properties['ReservedConcurrentExecutions']),
            environment: Object.fromEntries(
              Object.entries(variables).map(([variable, value]) => [
                variable,
                text(value, `Environment.Variables.${variable}`),
              ]),
            ),
            deadLetterTarget: optionalText(objectOf(properties['DeadLetterConfig'])['TargetArn']),
          });
          return { ref: name, attributes: { Arn: arn } };
        },
      },
      {
        type: 'AWS::Lambda::Permission',
        honoured: ['FunctionName', 'Action', 'Principal', 'SourceArn', 'SourceAccount'],
        leftOut: {},
        create: (resource, cloud) => {
          const { properties } = resource;
          const action = text(properties['Action'], 'Action');
          if (action !== 'lambda:InvokeFunction') throw new Error(`Action ${action} is not known to the local cloud`);
          const sourceArn = optionalText(properties['SourceArn']);
          const sourceAccount = optionalText(properties['SourceAccount']);
          lambda().permit(text(properties['FunctionName'], 'FunctionName'), {
            principal: text(properties['Principal'], 'Principal'),
            ...(sourceArn === undefined ? {} : { sourceArn }),
            ...(sourceAccount === undefined ? {} : { sourceAccount }),
          });
          return { ref: cloud.physicalName(resource) };
        },
      },
      {
        type: 'AWS::Lambda::EventInvokeConfig',
        honoured: ['FunctionName', 'MaximumRetryAttempts', 'MaximumEventAgeInSeconds', 'DestinationConfig'],
        leftOut: { Qualifier: 'there is one version of a function locally' },
        create: (resource, cloud) => {
          const { properties } = resource;
          const destinations = objectOf(properties['DestinationConfig']);
          lambda().configureEvents(text(properties['FunctionName'], 'FunctionName'), {
            maximumRetryAttempts: optionalNumber(properties['MaximumRetryAttempts']) ?? 2,
            maximumEventAgeSeconds: optionalNumber(properties['MaximumEventAgeInSeconds']) ?? 21_600,
            onFailure: optionalText(objectOf(destinations['OnFailure'])['Destination']),
            onSuccess: optionalText(objectOf(destinations['OnSuccess'])['Destination']),
          });
          return { ref: cloud.physicalName(resource) };
        },
      },
      {
        type: 'AWS::Lambda::Version',
        honoured: ['FunctionName'],
        leftOut: { Description: NOT_SHOWN, CodeSha256: 'the bundle is the one of this template' },
        create: (resource) => {
          const arn = lambda().arn(text(resource.properties['FunctionName'], 'FunctionName'));
          return { ref: `${arn}:1`, attributes: { FunctionArn: `${arn}:1`, Version: '1' } };
        },
      },
      {
        type: 'AWS::Lambda::Alias',
        honoured: ['FunctionName', 'Name', 'FunctionVersion'],
        leftOut: { Description: NOT_SHOWN },
        create: (resource) => {
          const arn = lambda().arn(text(resource.properties['FunctionName'], 'FunctionName'));
          const alias = `${arn}:${text(resource.properties['Name'], 'Name')}`;
          return { ref: alias, attributes: { AliasArn: alias } };
        },
      },
    ],
    attach(cloud: Cloud) {
      cloud.registerTarget('lambda', async (targetArn, message) => cloud.functions.invokeAsync(targetArn, message));
    },
    start: () => lambda().start(),
    stop: () => lambda().stop(),
  };
}

/** The `Invoke` operation (REST-JSON, `POST /2015-03-31/functions/<name>/invocations`). */
function lambdaApi(lambda: () => LambdaService): AwsService {
  return {
    signingNames: ['lambda'],
    resolve: (request) => resolveInvoke(request, lambda()),
    error: (error) => ({
      status: error.status,
      headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.code },
      body: JSON.stringify({ Type: error.status < 500 ? 'User' : 'Service', Message: error.message }),
    }),
  };
}

function resolveInvoke(request: AwsRequest, lambda: LambdaService): ResolvedCall {
  const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(request.path) ?? [];
  if (name === undefined || request.method !== 'POST') {
    throw new AwsError('UnknownOperationException', `${request.method} ${request.path} is not emulated`, 404);
  }
  const arn = lambda.arn(decodeURIComponent(name));
  const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
  return {
    operation: 'Invoke',
    permissions: [{ action: 'lambda:InvokeFunction', resource: arn }],
    execute: async () => {
      const payload = parsePayload(request.body);
      if (type === 'DryRun') return { status: 204 };
      if (type === 'Event') {
        lambda.invokeAsync(arn, payload);
        return { status: 202 };
      }
      const result = await lambda.invoke(arn, payload);
      return {
        status: 200,
        headers: {
          'content-type': 'application/json',
          'x-amz-executed-version': '$LATEST',
          ...(result.functionError === undefined ? {} : { 'x-amz-function-error': result.functionError }),
        },
        body: JSON.stringify(result.payload),
      };
    },
  };
}

function parsePayload(body: Buffer): Json {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString()) as Json;
  } catch (error) {
    throw new AwsError('InvalidRequestContentException', `Could not parse request body into json: ${String(error)}`);
  }
}
