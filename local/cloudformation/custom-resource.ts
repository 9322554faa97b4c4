import { randomUUID } from 'node:crypto';
import type { AwsResponse, Cloud, CreatedResource, Json, Part, ResourceRequest, ResourceType } from '../cloud.ts';
import type { ControlRoute } from '../endpoint/server.ts';
import { optionalNumber, text } from '../template/read.ts';

const SPACE = 'custom-resource';
const PATH = '/_wardline/custom-resource/';

/** What a custom resource answered, remembered so that it is called again only when its properties have changed. */
interface Remembered {
  readonly properties: Readonly<Record<string, Json>>;
  readonly physicalId: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The body that the function puts to the response URL. */
interface CustomResponse {
  readonly Status: 'SUCCESS' | 'FAILED';
  readonly Reason?: string;
  readonly PhysicalResourceId?: string;
  readonly Data?: Readonly<Record<string, Json>>;
}

/**
 * CloudFormation's custom resources: the function is invoked with Create or Update, and answers by an HTTP PUT to the
 * response URL, which is on the AWS endpoint's port.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
 */
export class CustomResources {
  readonly #waiting = new Map<string, (response: CustomResponse) => void>();

  /** Receives what functions put to their response URLs. */
  readonly control: ControlRoute = (request): AwsResponse | undefined => {
    if (!request.path.startsWith(PATH)) return undefined;
    const token = request.path.slice(PATH.length);
    const answer = this.#waiting.get(token);
    if (request.method !== 'PUT' || answer === undefined) return { status: 403, body: 'the response URL has expired' };
    this.#waiting.delete(token);
    answer(JSON.parse(request.body.toString()) as CustomResponse);
    return { status: 200 };
  };

  /** The resource type for `type`, when it is a custom resource. */
  typeOf(type: string): ResourceType | undefined {
    if (type !== 'AWS::CloudFormation::CustomResource' && !type.startsWith('Custom::')) return undefined;
    return { ...this.resourceType, type };
  }

  /** All custom resources: `ServiceToken` names the function, every other property is handed to it. */
  readonly resourceType: ResourceType & { readonly honoured: readonly string[] } = {
    type: 'Custom::*',
    honoured: ['*'],
    leftOut: {},
    create: (resource, cloud) => this.#create(resource, cloud),
  };

  /** The part that brings custom resources into the table of resource types. */
  part(): Part {
    return { name: 'cloudformation', resources: [this.resourceType] };
  }

  async #create(resource: ResourceRequest, cloud: Cloud): Promise<CreatedResource> {
    const key = `${resource.stackName}/${resource.logicalId}`;
    const { ServiceToken, ServiceTimeout, ...properties } = resource.properties;
    const functionArn = text(ServiceToken, 'ServiceToken');
    const before = cloud.store.get<Remembered>(SPACE, key);
    if (before !== undefined && JSON.stringify(before.properties) === JSON.stringify(properties)) {
      return { ref: before.physicalId, attributes: before.attributes };
    }
    const response = await this.#call(
      resource,
      properties,
      functionArn,
      optionalNumber(ServiceTimeout) ?? 3600,
      before,
      cloud,
    );
    if (response.Status !== 'SUCCESS')
      throw new Error(`the custom resource failed: ${response.Reason ?? 'no reason given'}`);
    const attributes = Object.fromEntries(
      Object.entries(response.Data ?? {}).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    );
    const remembered: Remembered = {
      properties,
      physicalId: response.PhysicalResourceId ?? cloud.physicalName(resource),
      attributes,
    };
    cloud.store.put(SPACE, key, remembered);
    return { ref: remembered.physicalId, attributes };
  }

  async #call(
    resource: ResourceRequest,
    properties: Readonly<Record<string, Json>>,
    functionArn: string,
    timeoutSeconds: number,
    before: Remembered | undefined,
    cloud: Cloud,
  ): Promise<CustomResponse> {
    const token = randomUUID();
    const answered = new Promise<CustomResponse>((resolve) => this.#waiting.set(token, resolve));
    const event: Json = {
      RequestType: before === undefined ? 'Create' : 'Update',
      ResponseURL: `http://127.0.0.1:${cloud.ports.aws}${PATH}${token}`,
      StackId: cloud.arn('cloudformation', `stack/${resource.stackName}/local`),
      RequestId: randomUUID(),
      ResourceType: resource.type,
      LogicalResourceId: resource.logicalId,
      ServiceToken: functionArn,
      ResourceProperties: { ServiceToken: functionArn, ...properties },
      ...(before === undefined
        ? {}
        : {
            PhysicalResourceId: before.physicalId,
            OldResourceProperties: { ServiceToken: functionArn, ...before.properties },
          }),
    };
    let timer: NodeJS.Timeout | undefined;
    try {
      const invoked = cloud.functions.invoke(functionArn, event).then((result) => {
        if (result.functionError === undefined) return answered;
        // CloudFormation would wait for an hour; a function that threw will not answer any more.
        return { Status: 'FAILED', Reason: JSON.stringify(result.payload) } satisfies CustomResponse;
      });
      const late = new Promise<CustomResponse>((resolve) => {
        const limit = Math.min(timeoutSeconds, LONGEST_WAIT_SECONDS);
        timer = setTimeout(() => resolve({ Status: 'FAILED', Reason: `no answer within ${limit} s` }), limit * 1000);
      });
      return await Promise.race([answered, invoked, late]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(token);
    }
  }
}

/** A start that takes longer is not worth waiting for. */
const LONGEST_WAIT_SECONDS = 60;
