import type { Server } from 'node:http';
import type { Cloud, Json, Part, ResourceRequest } from '../cloud.ts';
import { isTrue, listOf, objectOf, optionalNumber, optionalText, text } from '../template/read.ts';
import type { Authorizer } from './authorizer.ts';
import { readGatewayResponse } from './gateway-responses.ts';
import { closeServer } from './http-api-part.ts';
import { functionOfUri, shortId } from './identifiers.ts';
import { type BodyCheck, compileModel } from './models.ts';
import { type MockIntegration, type RestApi, serveRestApis } from './rest-api.ts';
import { RouteTable } from './routes.ts';

const NOT_SHOWN = 'shown in the console of AWS only';
const DIRECT = 'a function is reached directly';

/** REST APIs (AWS::ApiGateway): served on the API port, each below the path of its stage. */
export function restApiPart(): Part {
  const apis = new Map<string, RestApi>();
  const paths = new Map<string, string>();
  const models = new Map<string, BodyCheck>();
  const validators = new Map<string, { readonly body: boolean; readonly parameters: boolean }>();
  const authorizers = new Map<string, Authorizer>();
  const stages = new Map<string, RestApi>();
  let server: Server | undefined;
  let cloud: Cloud | undefined;
  const apiOf = (resource: ResourceRequest): RestApi => {
    const id = text(resource.properties['RestApiId'], 'RestApiId');
    const api = apis.get(id);
    if (api === undefined) throw new Error(`there is no REST API ${id}`);
    return api;
  };
  return {
    name: 'rest-api',
    resources: [
      {
        type: 'AWS::ApiGateway::RestApi',
        honoured: ['Name', 'BinaryMediaTypes'],
        leftOut: {
          Description: NOT_SHOWN,
          EndpointConfiguration: 'the API is reached on loopback',
          Tags: NOT_SHOWN,
        },
        create: (resource) => {
          const id = shortId(resource);
          const root = `${id}-root`;
          apis.set(id, {
            id,
            binaryMediaTypes: listOf(resource.properties['BinaryMediaTypes']).map((type) =>
              text(type, 'BinaryMediaTypes'),
            ),
            methods: new RouteTable(),
            responses: new Map(),
          });
          paths.set(root, '');
          return { ref: id, attributes: { RestApiId: id, RootResourceId: root } };
        },
      },
      {
        type: 'AWS::ApiGateway::Resource',
        honoured: ['RestApiId', 'ParentId', 'PathPart'],
        leftOut: {},
        create: (resource) => {
          const parent = paths.get(text(resource.properties['ParentId'], 'ParentId'));
          if (parent === undefined) throw new Error('its parent is not known');
          const id = shortId(resource);
          paths.set(id, `${parent}/${text(resource.properties['PathPart'], 'PathPart')}`);
          return { ref: id, attributes: { ResourceId: id } };
        },
      },
      {
        type: 'AWS::ApiGateway::Method',
        honoured: [
          'RestApiId',
          'ResourceId',
          'HttpMethod',
          'AuthorizationType',
          'AuthorizerId',
          'RequestModels',
          'RequestParameters',
          'RequestValidatorId',
          'Integration.Type',
          'Integration.Uri',
          'Integration.IntegrationResponses',
        ],
        leftOut: {
          ApiKeyRequired: 'there are no API keys',
          MethodResponses: 'a function decides on its responses',
          OperationName: NOT_SHOWN,
          'Integration.IntegrationHttpMethod': DIRECT,
          'Integration.PassthroughBehavior': DIRECT,
          'Integration.RequestTemplates': 'only fixed answers without a function have one',
          'Integration.TimeoutInMillis': 'the limit is 29 s, and the timeout of the function itself',
        },
        create: (resource) => {
          const { properties } = resource;
          const api = apiOf(resource);
          const resourceId = text(properties['ResourceId'], 'ResourceId');
          const path = paths.get(resourceId);
          if (path === undefined) throw new Error(`there is no resource ${resourceId}`);
          const validator = validators.get(optionalText(properties['RequestValidatorId']) ?? '');
          const shownPath = path === '' ? '/' : path;
          api.methods.add(text(properties['HttpMethod'], 'HttpMethod'), shownPath, {
            resourceId,
            path: shownPath,
            integration: integrationOf(objectOf(properties['Integration'])),
            authorizer: authorizerOf(properties, authorizers),
            requiredParameters:
              validator?.parameters === true ? requiredOf(properties['RequestParameters']) : undefined,
            models: validator?.body === true ? modelsOf(properties['RequestModels'], models) : undefined,
          });
          return { ref: shortId(resource) };
        },
      },
      {
        type: 'AWS::ApiGateway::Model',
        honoured: ['RestApiId', 'Name', 'ContentType', 'Schema'],
        leftOut: { Description: NOT_SHOWN },
        create: (resource) => {
          const name = optionalText(resource.properties['Name']) ?? shortId(resource);
          const schema = resource.properties['Schema'];
          models.set(name, compileModel(typeof schema === 'string' ? (JSON.parse(schema) as Json) : (schema ?? {})));
          return { ref: name };
        },
      },
      {
        type: 'AWS::ApiGateway::RequestValidator',
        honoured: ['RestApiId', 'ValidateRequestBody', 'ValidateRequestParameters'],
        leftOut: { Name: NOT_SHOWN },
        create: (resource) => {
          const id = shortId(resource);
          validators.set(id, {
            body: isTrue(resource.properties['ValidateRequestBody']),
            parameters: isTrue(resource.properties['ValidateRequestParameters']),
          });
          return { ref: id, attributes: { RequestValidatorId: id } };
        },
      },
      {
        type: 'AWS::ApiGateway::Authorizer',
        honoured: [
          'RestApiId',
          'Type',
          'AuthorizerUri',
          'IdentitySource',
          'IdentityValidationExpression',
          'AuthorizerResultTtlInSeconds',
        ],
        leftOut: { AuthType: NOT_SHOWN, Name: NOT_SHOWN },
        create: (resource) => {
          const { properties } = resource;
          const kind = properties['Type'];
          if (kind !== 'TOKEN' && kind !== 'REQUEST')
            throw new Error(`authorizer Type ${JSON.stringify(kind)} is not known`);
          const id = shortId(resource);
          const validation = optionalText(properties['IdentityValidationExpression']);
          authorizers.set(id, {
            id,
            kind,
            functionArn: functionOfUri(text(properties['AuthorizerUri'], 'AuthorizerUri')),
            identitySources: (optionalText(properties['IdentitySource']) ?? '')
              .split(',')
              .map((source) => source.trim())
              .filter(Boolean),
            validation: validation === undefined ? undefined : new RegExp(validation),
            cacheSeconds: optionalNumber(properties['AuthorizerResultTtlInSeconds']) ?? 300,
            cache: new Map(),
          });
          return { ref: id, attributes: { AuthorizerId: id } };
        },
      },
      {
        type: 'AWS::ApiGateway::GatewayResponse',
        honoured: ['RestApiId', 'ResponseType', 'StatusCode', 'ResponseParameters', 'ResponseTemplates'],
        leftOut: {},
        create: (resource) => {
          const type = text(resource.properties['ResponseType'], 'ResponseType');
          apiOf(resource).responses.set(type, readGatewayResponse(resource.properties));
          return { ref: shortId(resource) };
        },
      },
      {
        type: 'AWS::ApiGateway::Deployment',
        honoured: ['RestApiId'],
        leftOut: { Description: NOT_SHOWN },
        create: (resource) => ({ ref: shortId(resource), attributes: { DeploymentId: shortId(resource) } }),
      },
      {
        type: 'AWS::ApiGateway::Stage',
        honoured: ['RestApiId', 'StageName'],
        leftOut: {
          AccessLogSetting: 'there are no access logs locally',
          DeploymentId: 'every change is deployed at the start',
          Description: NOT_SHOWN,
          MethodSettings: 'throttling, metrics and logging have no effect locally',
          Tags: NOT_SHOWN,
          TracingEnabled: 'there is no X-Ray locally; --trace lists the calls',
        },
        create: (resource) => {
          const name = text(resource.properties['StageName'], 'StageName');
          if (stages.has(name))
            throw new Error(`two REST APIs have a stage ${name}, which the local cloud serves under one port`);
          stages.set(name, apiOf(resource));
          return { ref: name };
        },
      },
      {
        type: 'AWS::ApiGateway::Account',
        honoured: [],
        leftOut: { CloudWatchRoleArn: 'there are no execution logs locally' },
        create: (resource) => ({ ref: shortId(resource) }),
      },
    ],
    attach: (given) => {
      cloud = given;
    },
    start: async () => {
      if (cloud !== undefined && stages.size > 0) server = await serveRestApis(stages, cloud.ports.api, cloud);
    },
    stop: async () => {
      if (server !== undefined) await closeServer(server);
    },
  };
}

function integrationOf(
  integration: Readonly<Record<string, Json>>,
): { readonly functionArn: string } | MockIntegration {
  if (integration['Type'] === 'AWS_PROXY')
    return { functionArn: functionOfUri(text(integration['Uri'], 'Integration.Uri')) };
  if (integration['Type'] !== 'MOCK')
    throw new Error(`Integration.Type ${JSON.stringify(integration['Type'])} is not known to the local cloud`);
  const response = objectOf(listOf(integration['IntegrationResponses'])[0]);
  const headers = Object.entries(objectOf(response['ResponseParameters'])).map(([name, value]): [string, string] => [
    name.replace('method.response.header.', ''),
    text(value, name).replace(/^'(.*)'$/, '$1'),
  ]);
  return { status: Number(response['StatusCode'] ?? 200), headers };
}

function authorizerOf(
  properties: Readonly<Record<string, Json>>,
  authorizers: ReadonlyMap<string, Authorizer>,
): Authorizer | undefined {
  const kind = optionalText(properties['AuthorizationType']) ?? 'NONE';
  if (kind === 'NONE') return undefined;
  if (kind !== 'CUSTOM') throw new Error(`AuthorizationType ${kind} is not known to the local cloud`);
  const authorizer = authorizers.get(text(properties['AuthorizerId'], 'AuthorizerId'));
  if (authorizer === undefined) throw new Error('its authorizer is not known');
  return authorizer;
}

function requiredOf(parameters: Json | undefined): string[] {
  return Object.entries(objectOf(parameters))
    .filter(([, required]) => isTrue(required))
    .map(([name]) => name);
}

function modelsOf(requestModels: Json | undefined, models: ReadonlyMap<string, BodyCheck>): Map<string, BodyCheck> {
  const checks = new Map<string, BodyCheck>();
  for (const [type, name] of Object.entries(objectOf(requestModels))) {
    // `Empty` and `Error` are models that every API has; they accept anything.
    const check = models.get(text(name, 'RequestModels')) ?? (() => undefined);
    checks.set(type.toLowerCase(), check);
  }
  return checks;
}
