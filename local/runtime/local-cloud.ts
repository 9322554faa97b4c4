import { createHash } from 'node:crypto';
import {
  AwsError,
  type AwsRequest,
  type AwsResponse,
  type AwsService,
  type Clock,
  type Cloud,
  type DeliverOptions,
  type Functions,
  type Json,
  type LocalAuthority,
  type Log,
  type Permission,
  type Ports,
  type Principal,
  type ResourceRequest,
  type Store,
} from '../cloud.ts';
import type { Roles } from '../iam/roles.ts';
import type { LambdaService } from '../lambda/functions.ts';

/** The account of the local cloud. */
export const ACCOUNT = '000000000000';

/** What a `LocalCloud` is put together from. */
export interface LocalCloudParts {
  readonly region: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Log;
  readonly authority: LocalAuthority;
  readonly ports: Ports;
  readonly data: string | undefined;
  readonly roles: Roles;
  /** By SigV4 signing name. */
  readonly services: ReadonlyMap<string, AwsService>;
  /** By `<bucket>/<key>`. */
  readonly assets: ReadonlyMap<string, string>;
  lambda(cloud: Cloud): LambdaService;
}

type Delivery = (targetArn: string, message: Json, options: DeliverOptions) => Promise<void>;

/** What parts see of the local cloud. */
export class LocalCloud implements Cloud {
  readonly account = ACCOUNT;
  readonly region: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly log: Log;
  readonly authority: LocalAuthority;
  readonly ports: Ports;
  readonly data: string | undefined;
  readonly functions: Functions;
  readonly lambda: LambdaService;
  readonly #parts: LocalCloudParts;
  readonly #targets = new Map<string, Delivery>();

  constructor(parts: LocalCloudParts) {
    this.#parts = parts;
    this.region = parts.region;
    this.clock = parts.clock;
    this.store = parts.store;
    this.log = parts.log;
    this.authority = parts.authority;
    this.ports = parts.ports;
    this.data = parts.data;
    this.lambda = parts.lambda(this);
    this.functions = this.lambda;
  }

  arn(service: string, resource: string): string {
    if (service === 's3') return `arn:aws:s3:::${resource}`;
    if (service === 'iam') return `arn:aws:iam::${this.account}:${resource}`;
    return `arn:aws:${service}:${this.region}:${this.account}:${resource}`;
  }

  physicalName(resource: ResourceRequest): string {
    const hash = createHash('sha256').update(`${resource.stackName}/${resource.logicalId}`).digest('hex').slice(0, 12);
    // 63 characters is what the strictest service, S3, allows.
    return `${resource.stackName}-${resource.logicalId}`.slice(0, 50).concat('-', hash);
  }

  authorize(principal: Principal, permission: Permission): void {
    this.#parts.roles.authorize(principal, permission);
  }

  resourcePolicy(resourceArn: string, document: Json): void {
    this.#parts.roles.attachToResource(resourceArn, document);
  }

  authorizeInvoke(functionArn: string, service: string, sourceArn: string): void {
    this.lambda.authorizeInvoke(functionArn, service, sourceArn);
  }

  async deliver(targetArn: string, message: Json, options: DeliverOptions = {}): Promise<void> {
    const deliver = this.#targets.get(targetArn.split(':')[2] ?? '');
    if (deliver === undefined) throw new AwsError('InvalidParameterValue', `nothing can be delivered to ${targetArn}`);
    await deliver(targetArn, message, options);
  }

  registerTarget(service: string, deliver: Delivery): void {
    this.#targets.set(service, deliver);
  }

  async request(signingName: string, request: AwsRequest): Promise<AwsResponse> {
    const service = this.#parts.services.get(signingName);
    if (service === undefined) throw new AwsError('UnknownService', `service ${signingName} is not emulated`, 404);
    return await service.resolve(request).execute(this.#parts.roles.root);
  }

  assetPath(bucket: string, key: string): string | undefined {
    return this.#parts.assets.get(`${bucket}/${key}`);
  }
}
