import { Stack } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import {
  ApiMapping,
  type DomainName,
  HttpApi,
  type HttpMethod,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { type LogKeeping, logGroup } from './logs.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** One route of an HTTP API. */
export interface HttpRoute {
  readonly method: HttpMethod;
  readonly path: string;
  readonly function: WardlineFunction;
}

/** An HTTP API of the device front. */
export interface HttpFrontProps {
  readonly name: string;
  readonly description: string;
  readonly routes: readonly HttpRoute[];
  readonly logs: LogKeeping;
  /** Requests a second, and how many at once. */
  readonly throttle: { readonly rateLimit: number; readonly burstLimit: number };
  /** The only way in when given: the API's default endpoint is switched off then. */
  readonly domain?: DomainName;
  /** Why no authorizer stands in front of the functions. */
  readonly withoutAuthorizer: string;
}

/** An HTTP API with throttling and JSON access logs that hold no body, no query and no header. */
export class HttpFront extends Construct {
  readonly api: HttpApi;
  /** `https://<host>` without a path. */
  readonly url: string;

  constructor(scope: Construct, id: string, props: HttpFrontProps) {
    super(scope, id);
    this.api = new HttpApi(this, 'Api', {
      apiName: props.name,
      description: props.description,
      createDefaultStage: false,
      disableExecuteApiEndpoint: props.domain !== undefined,
    });
    const integrations = new Map<WardlineFunction, HttpLambdaIntegration>();
    for (const route of props.routes) {
      const integration =
        integrations.get(route.function) ??
        new HttpLambdaIntegration(`${route.function.node.id}Integration`, route.function.function);
      integrations.set(route.function, integration);
      this.api.addRoutes({ path: route.path, methods: [route.method], integration });
    }
    const stage = new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      throttle: props.throttle,
      accessLogSettings: {
        destination: new LogGroupLogDestination(
          logGroup(this, 'AccessLog', `/aws/apigateway/${props.name}`, props.logs),
        ),
        format: AccessLogFormat.custom(
          JSON.stringify({
            requestId: '$context.requestId',
            time: '$context.requestTimeEpoch',
            ip: '$context.identity.sourceIp',
            route: '$context.routeKey',
            status: '$context.status',
            milliseconds: '$context.responseLatency',
            bytes: '$context.responseLength',
            certificate: '$context.identity.clientCert.serialNumber',
            error: '$context.integrationErrorMessage',
          }),
        ),
      },
    });
    if (props.domain !== undefined) new ApiMapping(this, 'Mapping', { api: this.api, stage, domainName: props.domain });
    const { region, urlSuffix } = Stack.of(this);
    this.url = `https://${props.domain?.name ?? `${this.api.apiId}.execute-api.${region}.${urlSuffix}`}`;
    acknowledge(this, { 'AwsSolutions-APIG4': props.withoutAuthorizer });
  }
}
