import type { Server } from 'node:https';
import type { Cloud, Part, ResourceRequest } from '../cloud.ts';
import { isTrue, objectOf, optionalText, text } from '../template/read.ts';
import { type HttpApi, type HttpDomain, serveHttpApi } from './http-api.ts';
import { functionOfUri, shortId } from './identifiers.ts';
import { RouteTable } from './routes.ts';

const NOT_SHOWN = 'shown in the console of AWS only';
const ONE_HOST = 'the local host name is localhost, with a certificate of the local authority';

/**
 * HTTP APIs (AWS::ApiGatewayV2): the one behind a custom domain with client certificates is served on the device port, the
 * one with a default endpoint on the enrolment port.
 */
export function httpApiPart(): Part {
  const apis = new Map<string, HttpApi>();
  const domains = new Map<string, HttpDomain>();
  const integrations = new Map<string, string>();
  const servers: Server[] = [];
  let cloud: Cloud | undefined;
  const apiOf = (resource: ResourceRequest): HttpApi => {
    const id = text(resource.properties['ApiId'], 'ApiId');
    const api = apis.get(id);
    if (api === undefined) throw new Error(`there is no HTTP API ${id}`);
    return api;
  };
  return {
    name: 'http-api',
    resources: [
      {
        type: 'AWS::ApiGatewayV2::Api',
        honoured: ['Name', 'ProtocolType', 'DisableExecuteApiEndpoint'],
        leftOut: { Description: NOT_SHOWN, Tags: NOT_SHOWN },
        create: (resource, within) => {
          const { properties } = resource;
          if (properties['ProtocolType'] !== 'HTTP') throw new Error('only ProtocolType HTTP is served locally');
          const id = shortId(resource);
          const defaultEndpoint = !isTrue(properties['DisableExecuteApiEndpoint']);
          apis.set(id, {
            id,
            name: optionalText(properties['Name']) ?? id,
            defaultEndpoint,
            routes: new RouteTable(),
            fallback: undefined,
            stage: undefined,
          });
          return { ref: id, attributes: { ApiId: id, ApiEndpoint: `https://localhost:${within.ports.enroll}` } };
        },
      },
      {
        type: 'AWS::ApiGatewayV2::Integration',
        honoured: ['ApiId', 'IntegrationType', 'IntegrationUri', 'PayloadFormatVersion'],
        leftOut: {
          ConnectionType: 'functions are reached directly',
          Description: NOT_SHOWN,
          IntegrationMethod: 'a function is always invoked',
          TimeoutInMillis: 'the limit is 30 s, and the timeout of the function itself',
        },
        create: (resource) => {
          const { properties } = resource;
          if (properties['IntegrationType'] !== 'AWS_PROXY')
            throw new Error('only IntegrationType AWS_PROXY is served locally');
          if (properties['PayloadFormatVersion'] !== '2.0')
            throw new Error('only PayloadFormatVersion 2.0 is served locally');
          const id = shortId(resource);
          integrations.set(id, functionOfUri(text(properties['IntegrationUri'], 'IntegrationUri')));
          return { ref: id };
        },
      },
      {
        type: 'AWS::ApiGatewayV2::Route',
        honoured: ['ApiId', 'RouteKey', 'Target', 'AuthorizationType'],
        leftOut: { ApiKeyRequired: 'HTTP APIs have no API keys', OperationName: NOT_SHOWN },
        create: (resource) => {
          const { properties } = resource;
          const authorization = optionalText(properties['AuthorizationType']) ?? 'NONE';
          if (authorization !== 'NONE')
            throw new Error(`AuthorizationType ${authorization} is not known to the local cloud`);
          const target = text(properties['Target'], 'Target').replace('integrations/', '');
          const functionArn = integrations.get(target);
          if (functionArn === undefined) throw new Error(`there is no integration ${target}`);
          const key = text(properties['RouteKey'], 'RouteKey');
          const api = apiOf(resource);
          const route = { key, functionArn };
          if (key === '$default') {
            api.fallback = route;
          } else {
            const [method = '', path = ''] = key.split(' ');
            api.routes.add(method, path, route);
          }
          return { ref: shortId(resource) };
        },
      },
      {
        type: 'AWS::ApiGatewayV2::Stage',
        honoured: ['ApiId', 'StageName'],
        leftOut: {
          AccessLogSettings: 'there are no access logs locally',
          AutoDeploy: 'every change is deployed at the start',
          DefaultRouteSettings: 'throttling and metrics have no effect locally',
          RouteSettings: 'throttling and metrics have no effect locally',
          Description: NOT_SHOWN,
          Tags: NOT_SHOWN,
        },
        create: (resource) => {
          const name = text(resource.properties['StageName'], 'StageName');
          apiOf(resource).stage = name;
          return { ref: name };
        },
      },
      {
        type: 'AWS::ApiGatewayV2::DomainName',
        honoured: ['DomainName', 'MutualTlsAuthentication.TruststoreUri', 'MutualTlsAuthentication.TruststoreVersion'],
        leftOut: { DomainNameConfigurations: ONE_HOST, RoutingMode: 'API mappings route', Tags: NOT_SHOWN },
        create: async (resource, within) => {
          const name = text(resource.properties['DomainName'], 'DomainName');
          const mutual = objectOf(resource.properties['MutualTlsAuthentication']);
          const uri = optionalText(mutual['TruststoreUri']);
          const truststore =
            uri === undefined
              ? undefined
              : await readTruststore(uri, optionalText(mutual['TruststoreVersion']), within);
          domains.set(name, { name, truststore, api: undefined });
          return {
            ref: name,
            attributes: {
              DomainNameArn: within.arn('apigateway', `/domainnames/${name}`),
              RegionalDomainName: 'localhost',
              RegionalHostedZoneId: 'ZLOCAL',
            },
          };
        },
      },
      {
        type: 'AWS::ApiGatewayV2::ApiMapping',
        honoured: ['ApiId', 'DomainName', 'Stage'],
        leftOut: {},
        create: (resource) => {
          const name = text(resource.properties['DomainName'], 'DomainName');
          const domain = domains.get(name);
          if (domain === undefined) throw new Error(`there is no domain name ${name}`);
          domain.api = apiOf(resource);
          return { ref: shortId(resource) };
        },
      },
    ],
    attach: (given) => {
      cloud = given;
    },
    start: async () => {
      if (cloud === undefined) return;
      const served = [...domains.values()];
      const open = [...apis.values()].filter((api) => api.defaultEndpoint);
      if (served.length > 1)
        throw new Error('the local cloud serves one custom domain of HTTP APIs, on the device port');
      if (open.length > 1)
        throw new Error('the local cloud serves one HTTP API with a default endpoint, on the enrolment port');
      for (const { name, truststore, api } of served) {
        if (api === undefined) throw new Error(`no API is mapped to ${name}`);
        servers.push(await serveHttpApi({ api, domainName: name, port: cloud.ports.device, truststore }, cloud));
      }
      for (const api of open) {
        const domainName = `${api.id}.execute-api.${cloud.region}.amazonaws.com`;
        servers.push(await serveHttpApi({ api, domainName, port: cloud.ports.enroll, truststore: undefined }, cloud));
      }
    },
    stop: async () => {
      await Promise.all(servers.splice(0).map(closeServer));
    },
  };
}

/** Closes a server with all its connections. */
export async function closeServer(server: {
  close(done: () => void): unknown;
  closeAllConnections(): void;
}): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

async function readTruststore(uri: string, version: string | undefined, cloud: Cloud): Promise<string> {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (bucket === undefined || key === undefined) throw new Error(`TruststoreUri must be s3://bucket/key, not ${uri}`);
  const query = new URLSearchParams(version === undefined ? {} : { versionId: version });
  const response = await cloud.request('s3', {
    method: 'GET',
    path: `/${bucket}/${key}`,
    query,
    headers: {},
    body: Buffer.alloc(0),
  });
  const pem = String(response.body ?? '');
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${uri} holds no certificate`);
  return pem;
}
