/**
 * The contracts between the parts of the local cloud.
 *
 * A `Part` emulates one AWS service. It brings `ResourceType`s (how a resource of the synthesized template comes to
 * life) and, where functions call the service, an `AwsService` (how a signed request is resolved and carried out).
 * Parts reach each other only through `Cloud`.
 */

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Time of the local cloud in milliseconds since the epoch; `--speed` makes it run faster than the wall clock. */
export interface Clock {
  now(): number;
  /** Calls `run` at cloud time `at`; returns a function that cancels it. Timers never keep the process alive. */
  at(at: number, run: () => void): () => void;
}

/**
 * Durable key-value state of the local cloud (SQLite; a file in `--data DIR`, else memory). Values are JSON.
 * Every call is synchronous and, with `--data`, on disk when it returns: `kill -9` loses nothing that was answered.
 */
export interface Store {
  get<T>(space: string, key: string): T | undefined;
  put(space: string, key: string, value: unknown): void;
  delete(space: string, key: string): void;
  /** Entries in key order; `prefix` limits them. */
  list<T>(space: string, prefix?: string): { key: string; value: T }[];
  /** All or nothing. */
  transaction<T>(run: () => T): T;
}

/** Who makes a call: the role whose policies decide. `functionName` is there for calls out of a function. */
export interface Principal {
  readonly roleArn: string;
  readonly functionName?: string;
}

/** A parsed HTTP request to the AWS endpoint. `body` is raw. */
export interface AwsRequest {
  readonly method: string;
  /** Percent-encoded path as received, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** One thing that a call needs permission for, in IAM's words. */
export interface Permission {
  /** e.g. `dynamodb:Query` */
  readonly action: string;
  /** The full ARN. `*` only where AWS knows no resource-level permission for the action. */
  readonly resource: string;
  /** Values of condition keys, names in lower case, e.g. `{"iot:topic": "..."}`. */
  readonly context?: Readonly<Record<string, string | readonly string[]>>;
}

/** A request that has been understood, before anything is carried out. */
export interface ResolvedCall {
  /** AWS's operation name, e.g. `TransactWriteItems`; shown in `--trace` and matched by the fault plan. */
  readonly operation: string;
  readonly permissions: readonly Permission[];
  /** Carries the call out. May throw `AwsError`. */
  execute(principal: Principal): Promise<AwsResponse>;
}

/** What goes back over the wire, in the service's own protocol. */
export interface AwsResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** DynamoDB capacity units that the call consumed, for `--trace`. */
  readonly capacityUnits?: number;
  /** The error code for `--trace` when the body is an error that was passed on. */
  readonly error?: string;
}

/** How one AWS service is spoken to. `signingName` is the service of the SigV4 credential scope. */
export interface AwsService {
  /** e.g. `dynamodb`, `iot` (control plane), `iotdata` (SigV4 name of the data plane, also `iotdevicegateway`), `sqs`, `kms`, `states`. */
  readonly signingNames: readonly string[];
  /** Understands the request; throws `AwsError` for what this service does not emulate (never ignores it silently). */
  resolve(request: AwsRequest): ResolvedCall;
  /** Writes an error in the service's protocol. */
  error(error: AwsError, request: AwsRequest): AwsResponse;
}

/** An error that AWS would answer: its code, message and HTTP status. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'AwsError';
    this.code = code;
    this.status = status;
  }
}

/** What a resource of the template looks like when its turn comes: intrinsic functions are already resolved. */
export interface ResourceRequest {
  readonly stackName: string;
  readonly logicalId: string;
  readonly type: string;
  /** Resolved properties. */
  readonly properties: Readonly<Record<string, Json>>;
}

/** What other resources may refer to. */
export interface CreatedResource {
  /** `Ref` */
  readonly ref: string;
  /** `Fn::GetAtt` */
  readonly attributes?: Readonly<Record<string, string>>;
}

/**
 * One CloudFormation resource type. Together `honoured` and `leftOut` are all properties that may occur: a template
 * with any other property fails the start, so that nothing is ever skipped silently. Both are dotted paths from
 * `Properties` (`Code.S3Key`); naming a parent covers what is below it.
 */
export interface ResourceType {
  readonly type: string;
  readonly honoured: readonly string[];
  /** Property -> why it has no effect here. */
  readonly leftOut: Readonly<Record<string, string>>;
  /**
   * Makes the resource, or finds it again after a restart with `--data`: names and ids derive from the stack name and
   * logical id (`physicalName`), never from chance, so that the same template gives the same ARNs.
   */
  create(resource: ResourceRequest, cloud: Cloud): Promise<CreatedResource> | CreatedResource;
}

/** The answer of a function, as Lambda gives it to the invoker. */
export interface InvokeResult {
  /** What the handler returned, parsed. */
  readonly payload: Json;
  /** Set when the handler threw, timed out, or was killed; then `payload` is Lambda's error object. */
  readonly functionError?: 'Unhandled' | 'Handled';
}

/** Lambda, as the other parts see it. */
export interface Functions {
  /** Waits for the answer. Rejects with AwsError TooManyRequestsException when reserved concurrency is used up. */
  invoke(functionArn: string, payload: Json): Promise<InvokeResult>;
  /** Asynchronous invocation: queued durably, retried as the function's event-invoke configuration says, then sent to its failure destination or DLQ. Returns when queued. */
  invokeAsync(functionArn: string, payload: Json): void;
  /** The ARN of a function's execution role, for what Lambda does with it (polling an event source, a failure destination). Takes a name or an ARN. */
  role(functionArn: string): string;
}

/** Everything that a part may use of the rest of the local cloud. */
export interface Cloud {
  readonly account: string;
  readonly region: string;
  readonly clock: Clock;
  readonly store: Store;
  readonly functions: Functions;
  readonly log: Log;
  readonly authority: LocalAuthority;
  /** Absolute path of `--data DIR`, where a part may keep files of its own (in a folder of its name); undefined: keep everything in memory. */
  readonly data: string | undefined;
  /** The ports, by what listens there. */
  readonly ports: Ports;
  /** `arn:aws:<service>:<region>:<account>:<resource>` (no region or account for S3 and IAM). */
  arn(service: string, resource: string): string;
  /** The stable physical name of a resource without a name of its own. */
  physicalName(resource: ResourceRequest): string;
  /**
   * Throws AwsError AccessDenied unless the role's policies allow it. For what AWS services do with a role they are
   * handed (IoT rule actions, schedules, state machines, event source mappings).
   */
  authorize(principal: Principal, permission: Permission): void;
  /** Makes the policy of a resource known (key policy, bucket policy, queue policy), which `authorize` then heeds. */
  resourcePolicy(resourceArn: string, document: Json): void;
  /** Throws unless the function's resource policy (AWS::Lambda::Permission) lets `service` on behalf of `sourceArn` invoke it. */
  authorizeInvoke(functionArn: string, service: string, sourceArn: string): void;
  /**
   * Sends a message to a target by its ARN (Lambda: asynchronous invocation, SQS, SNS, Step Functions, event bus).
   * Parts register how with `registerTarget`.
   */
  deliver(targetArn: string, message: Json, options?: DeliverOptions): Promise<void>;
  /** `service` is the third field of the target's ARN. */
  registerTarget(
    service: string,
    deliver: (targetArn: string, message: Json, options: DeliverOptions) => Promise<void>,
  ): void;
  /**
   * Calls an emulated service as AWS itself would from the inside: nothing is authorized, traced or subject to faults.
   * `signingName` picks the service, e.g. `s3` with `GET /bucket/key`. Throws what the service throws.
   */
  request(signingName: string, request: AwsRequest): Promise<AwsResponse>;
  /** The file or folder of the cloud assembly that CDK would have uploaded to this bucket and key; undefined if there is none. */
  assetPath(bucket: string, key: string): string | undefined;
}

export interface DeliverOptions {
  /** SQS message attributes, SNS subject and the like, in the target's own words. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Ports of the local cloud, all on loopback. */
export interface Ports {
  readonly api: number;
  readonly device: number;
  readonly enroll: number;
  readonly mqtt: number;
  readonly issuer: number;
  readonly aws: number;
  readonly dynamodb: number;
}

/** Log of the local cloud itself; what functions print goes to `.wardline/logs/<function>.log`. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

/** The certificate authority that all local TLS servers chain to (not the device CA, which is the product's own, in KMS). */
export interface LocalAuthority {
  readonly certificatePem: string;
  /** Path of that certificate, for `curl --cacert`. */
  readonly certificateFile: string;
  /** A server certificate for these DNS names and 127.0.0.1. */
  serverCertificate(names: readonly string[]): { certificatePem: string; privateKeyPem: string };
}

/** One emulated service. */
export interface Part {
  readonly name: string;
  readonly services?: readonly AwsService[];
  readonly resources?: readonly ResourceType[];
  /** Called once, before the template is executed: register targets, restore state. */
  attach?(cloud: Cloud): void | Promise<void>;
  /** Called after all resources exist: begin to listen, poll, tick. */
  start?(): void | Promise<void>;
  /** Called at the end; must leave no timer, socket or child process. */
  stop?(): void | Promise<void>;
}
