import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  AuthorizationType,
  EndpointType,
  type IResource,
  JsonSchemaType,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  type MethodOptions,
  type Model,
  ResponseType,
  RestApi,
  TokenAuthorizer,
} from 'aws-cdk-lib/aws-apigateway';
import { CfnLoggingConfiguration, CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';
import { problemKinds } from '../../shared/http/problem-kinds.ts';
import type { Route } from '../../shared/http/routes.ts';
import { acknowledge } from './acknowledge.ts';
import { type LogKeeping, logGroup } from './logs.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** What the management API is made from. */
export interface ManagementApiProps {
  readonly name: string;
  readonly routes: readonly Route[];
  /** The function of each route, by its name. */
  readonly functions: ReadonlyMap<string, WardlineFunction>;
  readonly authorizer: WardlineFunction;
  readonly logs: LogKeeping;
}

/**
 * The REST API that people, the console and the CLI use: WAF, throttling, request validation, a Lambda authorizer on
 * every route that is not public, access logs without content, and problem+json for what API Gateway itself refuses.
 */
export class ManagementApi extends Construct {
  readonly api: RestApi;

  constructor(scope: Construct, id: string, props: ManagementApiProps) {
    super(scope, id);
    this.api = new RestApi(this, 'Api', {
      restApiName: props.name,
      description: 'Wardline management API',
      endpointTypes: [EndpointType.REGIONAL],
      cloudWatchRole: true,
      deployOptions: {
        stageName: 'v1',
        tracingEnabled: true,
        metricsEnabled: true,
        // Errors only and no data trace: bodies never reach a log.
        loggingLevel: MethodLoggingLevel.ERROR,
        dataTraceEnabled: false,
        throttlingRateLimit: 200,
        throttlingBurstLimit: 400,
        accessLogDestination: new LogGroupLogDestination(
          logGroup(this, 'AccessLog', `/aws/apigateway/${props.name}`, props.logs),
        ),
        accessLogFormat: AccessLogFormat.custom(
          JSON.stringify({
            requestId: '$context.requestId',
            time: '$context.requestTimeEpoch',
            ip: '$context.identity.sourceIp',
            user: '$context.authorizer.principalId',
            method: '$context.httpMethod',
            resource: '$context.resourcePath',
            status: '$context.status',
            milliseconds: '$context.responseLatency',
            bytes: '$context.responseLength',
            waf: '$context.waf.status',
            error: '$context.error.message',
          }),
        ),
      },
    });
    this.#answerAsProblems();
    this.#addRoutes(props);
    this.#protect(props);

    // API Gateway makes this group itself on the first error, without key or retention, unless it is there already.
    const executionLog = logGroup(
      this,
      'ExecutionLog',
      `API-Gateway-Execution-Logs_${this.api.restApiId}/v1`,
      props.logs,
    );
    this.api.deploymentStage.node.addDependency(executionLog);

    acknowledge(this.api, {
      'HIPAA.Security-APIGWCacheEnabledAndEncrypted':
        'Answers are not cached: a cache of device data is worse than none.',
      'HIPAA.Security-APIGWSSLEnabled':
        'The backend is Lambda, called with SigV4 over TLS; there is no hop that takes a client certificate.',
      'AwsSolutions-COG4':
        "A Lambda authorizer verifies tokens of the hospital's own OpenID provider; there is no Cognito user pool.",
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
        'One role for the account, which API Gateway checks against exactly this policy.',
    });
  }

  #addRoutes(props: ManagementApiProps): void {
    const authorizer = new TokenAuthorizer(this, 'Authorizer', {
      handler: props.authorizer.function,
      identitySource: 'method.request.header.Authorization',
      // What cannot be a bearer token is refused without calling the function.
      validationRegex: '^[Bb]earer [-A-Za-z0-9._~+/]+=*$',
      resultsCacheTtl: Duration.seconds(60),
    });
    const validator = this.api.addRequestValidator('Validator', {
      validateRequestBody: true,
      validateRequestParameters: true,
    });
    const jsonObject = this.api.addModel('JsonObject', {
      contentType: 'application/json',
      description: 'Any JSON object; the function validates it against the schema of the operation.',
      schema: { type: JsonSchemaType.OBJECT },
    });
    const integrations = new Map<string, LambdaIntegration>();
    for (const route of props.routes) {
      const handler = props.functions.get(route.function);
      if (handler === undefined)
        throw new Error(`Route ${route.operation} names an unknown function: ${route.function}`);
      const integration =
        integrations.get(route.function) ?? new LambdaIntegration(handler.function, { scopePermissionToMethod: false });
      integrations.set(route.function, integration);
      const method = resourceAt(this.api.root, route.path).addMethod(route.method, integration, {
        operationName: route.operation,
        requestValidator: validator,
        requestParameters: pathParameters(route.path),
        ...bodyModel(route, jsonObject),
        ...(route.public
          ? { authorizationType: AuthorizationType.NONE }
          : { authorizationType: AuthorizationType.CUSTOM, authorizer }),
      });
      if (route.public) {
        acknowledge(method, {
          'AwsSolutions-APIG4': 'The description of the API holds nothing secret and is read before anybody signs in.',
        });
      }
    }
  }

  /** Errors that never reach a function have the same form as those that do (`shared/http/problem-kinds.ts`). */
  #answerAsProblems(): void {
    const problem = (type: ResponseType, status: number, kind: string, detail: string, headers = {}) => {
      const known = problemKinds.find((each) => each.type === `/problems/${kind}`);
      if (known === undefined) throw new Error(`There is no kind of problem ${kind}`);
      this.api.addGatewayResponse(`Problem${type.responseType}`, {
        type,
        statusCode: String(status),
        responseHeaders: { 'Content-Type': "'application/problem+json'", ...headers },
        templates: {
          'application/json': JSON.stringify({
            type: known.type,
            title: known.title,
            status,
            detail,
            instance: 'urn:wardline:request:$context.requestId',
          }),
        },
      });
    };
    const signIn = { 'WWW-Authenticate': "'Bearer'" };
    problem(
      ResponseType.UNAUTHORIZED,
      401,
      'unauthenticated',
      'Send an access token of a configured issuer as Authorization: Bearer, once.',
      signIn,
    );
    problem(ResponseType.ACCESS_DENIED, 403, 'forbidden', 'The access token does not open this API.');
    problem(ResponseType.WAF_FILTERED, 403, 'filtered', 'Nothing was done.');
    // A path that no route serves, or not with this method.
    problem(ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, 'not-found', 'There is no such operation at this path.');
    problem(ResponseType.BAD_REQUEST_BODY, 400, 'invalid-request', 'The body must be a JSON object.');
    problem(ResponseType.BAD_REQUEST_PARAMETERS, 400, 'invalid-request', 'A parameter of the path is missing.');
    problem(ResponseType.REQUEST_TOO_LARGE, 413, 'too-large', 'API Gateway takes at most 10 MB.');
    problem(ResponseType.THROTTLED, 429, 'too-many-requests', 'Wait as long as Retry-After says.', {
      'Retry-After': "'1'",
    });
    problem(ResponseType.DEFAULT_4XX, 400, 'refused', 'Nothing was done.');
    problem(ResponseType.DEFAULT_5XX, 503, 'unavailable', 'It is not known whether it was done. Read, then repeat.', {
      'Retry-After': "'5'",
    });
  }

  #protect(props: ManagementApiProps): void {
    const visibility = (metric: string) => ({
      cloudWatchMetricsEnabled: true,
      sampledRequestsEnabled: false,
      metricName: `${props.name}-${metric}`,
    });
    const managed = (name: string, priority: number, counted: readonly string[] = []): CfnWebACL.RuleProperty => ({
      name,
      priority,
      overrideAction: { none: {} },
      statement: {
        managedRuleGroupStatement: {
          vendorName: 'AWS',
          name,
          ...(counted.length === 0
            ? {}
            : { ruleActionOverrides: counted.map((rule) => ({ name: rule, actionToUse: { count: {} } })) }),
        },
      },
      visibilityConfig: visibility(name),
    });
    const acl = new CfnWebACL(this, 'WebAcl', {
      name: props.name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visibility('all'),
      rules: [
        {
          name: 'TooManyFromOneAddress',
          priority: 0,
          action: { block: {} },
          // A hospital may come from one address: 5 minutes of 40 requests a second.
          statement: { rateBasedStatement: { limit: 12_000, evaluationWindowSec: 300, aggregateKeyType: 'IP' } },
          visibilityConfig: visibility('rate'),
        },
        managed('AWSManagedRulesAmazonIpReputationList', 1),
        managed('AWSManagedRulesKnownBadInputsRuleSet', 2),
        managed('AWSManagedRulesCommonRuleSet', 3, [
          // A device list of thousands of rows is larger than the 8 KB that this rule allows.
          'SizeRestrictions_BODY',
          // Devices fetch updates from servers of the hospital's own network, which may have no name but an address.
          'GenericRFI_BODY',
        ]),
      ],
    });
    const association = new CfnWebACLAssociation(this, 'WebAclAssociation', {
      resourceArn: this.api.deploymentStage.stageArn,
      webAclArn: acl.attrArn,
    });
    association.node.addDependency(this.api.deploymentStage);
    // WAF accepts only groups whose name begins with this prefix.
    const log = logGroup(this, 'WafLog', `aws-waf-logs-${props.name}`, props.logs);
    new CfnLoggingConfiguration(this, 'WafLogging', {
      resourceArn: acl.attrArn,
      // WAF documents the ARN without the `:*` that CloudFormation's attribute ends in.
      logDestinationConfigs: [
        Stack.of(this).formatArn({
          service: 'logs',
          resource: 'log-group',
          resourceName: log.logGroupName,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
      redactedFields: [{ singleHeader: { Name: 'authorization' } }],
    });
  }
}

function resourceAt(root: IResource, path: string): IResource {
  return path
    .split('/')
    .filter((part) => part !== '')
    .reduce<IResource>((resource, part) => resource.getResource(part) ?? resource.addResource(part), root);
}

function pathParameters(path: string): Record<string, boolean> {
  return Object.fromEntries([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [`method.request.path.${name}`, true]));
}

/** Creating and updating take a JSON object. Actions may have no body, and an import is a list or a CSV file. */
function bodyModel(route: Route, model: Model): Pick<MethodOptions, 'requestModels'> {
  return /^(create|update)/.test(route.operation) ? { requestModels: { 'application/json': model } } : {};
}
