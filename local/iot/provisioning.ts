import { randomBytes } from 'node:crypto';
import { AwsError, type Cloud, type Json } from '../cloud.ts';
import type { Connection } from './connection.ts';
import type { Issuer } from './issuer.ts';
import { CertificateStatus, type Registry } from './registry.ts';
import {
  CERTIFICATE_ID,
  type ProvisioningTemplate,
  type ResolvedTemplate,
  resolveTemplate,
  TemplateError,
} from './template.ts';

/** A deployed AWS::IoT::ProvisioningTemplate. */
export interface FleetTemplate {
  readonly name: string;
  readonly arn: string;
  readonly body: ProvisioningTemplate;
  readonly roleArn: string;
  readonly enabled: boolean;
  readonly hookArn: string | undefined;
}

/** A deployed AWS::IoT::CertificateProvider. */
export interface CertificateProvider {
  readonly name: string;
  readonly arn: string;
  readonly functionArn: string;
}

/** A certificate that was handed out and waits for its RegisterThing. */
interface Ownership {
  readonly certificateId: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

const TOKENS = 'iot.ownership-tokens';
const TOKEN_MS = 60 * 60_000;
/** How long a pre-provisioning hook and a certificate provider may take. */
const FUNCTION_MS = 5000;

/** What a request is answered with on its `rejected` topic. */
class Rejection extends Error {
  readonly statusCode: number;
  readonly errorCode: string;
  constructor(statusCode: number, errorCode: string, errorMessage: string) {
    super(errorMessage);
    this.statusCode = statusCode;
    this.errorCode = errorCode;
  }
}

/**
 * Fleet provisioning over MQTT with JSON: CreateKeysAndCertificate, CreateCertificateFromCsr, RegisterThing.
 * https://docs.aws.amazon.com/iot/latest/developerguide/fleet-provision-api.html
 */
export class Provisioning {
  readonly #cloud: Cloud;
  readonly #registry: Registry;
  readonly #issuer: Issuer;
  readonly #reply: (connection: Connection, topic: string, payload: Buffer) => void;
  readonly #templates = new Map<string, FleetTemplate>();
  readonly #expiries = new Map<string, () => void>();
  #provider: CertificateProvider | undefined;

  constructor(
    cloud: Cloud,
    registry: Registry,
    issuer: Issuer,
    reply: (connection: Connection, topic: string, payload: Buffer) => void,
  ) {
    this.#cloud = cloud;
    this.#registry = registry;
    this.#issuer = issuer;
    this.#reply = reply;
  }

  addTemplate(template: FleetTemplate): void {
    this.#templates.set(template.name, template);
  }

  hasTemplate(name: string): boolean {
    return this.#templates.get(name)?.enabled === true;
  }

  setProvider(provider: CertificateProvider): void {
    if (this.#provider !== undefined && this.#provider.name !== provider.name) {
      throw new Error(`Certificate provider ${provider.name}: ${this.#provider.name} is the account's default already`);
    }
    this.#provider = provider;
  }

  /** Plans the end of certificates that were handed out before a restart. */
  start(): void {
    for (const { key, value } of this.#cloud.store.list<Ownership>(TOKENS)) this.#planExpiry(key, value);
  }

  stop(): void {
    for (const cancel of this.#expiries.values()) cancel();
    this.#expiries.clear();
  }

  /** Serves a request; false when the topic is none of this service's. The answer goes to the client alone. */
  request(connection: Connection, topic: string, payload: Buffer): boolean {
    const serve = this.#service(connection, topic);
    if (serve === undefined) return false;
    void this.#answer(connection, topic, payload, serve);
    return true;
  }

  #service(
    connection: Connection,
    topic: string,
  ): ((body: Readonly<Record<string, Json>>) => Promise<Json>) | undefined {
    if (topic === '$aws/certificates/create/json') return () => this.#createKeys();
    if (topic === '$aws/certificates/create-from-csr/json') return (body) => this.#createFromCsr(connection, body);
    const template = /^\$aws\/provisioning-templates\/([^/]+)\/provision\/json$/.exec(topic)?.[1];
    return template === undefined ? undefined : (body) => this.#registerThing(connection, template, body);
  }

  async #answer(
    connection: Connection,
    topic: string,
    payload: Buffer,
    serve: (body: Readonly<Record<string, Json>>) => Promise<Json>,
  ): Promise<void> {
    try {
      const accepted = await serve(readBody(payload));
      this.#reply(connection, `${topic}/accepted`, Buffer.from(JSON.stringify(accepted)));
    } catch (error) {
      const rejection = asRejection(error);
      if (rejection.statusCode >= 500) this.#cloud.log.warn(`${topic}: ${rejection.message}`);
      const { statusCode, errorCode, message } = rejection;
      this.#reply(
        connection,
        `${topic}/rejected`,
        Buffer.from(JSON.stringify({ statusCode, errorCode, errorMessage: message })),
      );
    }
  }

  async #createKeys(): Promise<Json> {
    const { certificatePem, keyPair } = await this.#issuer.createKeysAndCertificate();
    return { ...this.#handOut(certificatePem), privateKey: keyPair.privateKey };
  }

  async #createFromCsr(connection: Connection, body: Readonly<Record<string, Json>>): Promise<Json> {
    const request = body['certificateSigningRequest'];
    if (typeof request !== 'string' || request === '')
      throw new Rejection(400, 'InvalidCSR', 'Certificate signing request cannot be empty.');
    if (this.#provider !== undefined)
      return this.#handOut(await this.#fromProvider(this.#provider, connection, request));
    let certificatePem: string;
    try {
      certificatePem = await this.#issuer.certify(request);
    } catch (error) {
      throw new Rejection(
        400,
        'InvalidCSR',
        `Invalid certificate signing request: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    return this.#handOut(certificatePem);
  }

  async #fromProvider(
    provider: CertificateProvider,
    connection: Connection,
    certificateSigningRequest: string,
  ): Promise<string> {
    const answer = await this.#invoke(provider.functionArn, provider.arn, 'Certificate provider', {
      certificateSigningRequest,
      principalId: connection.certificateId,
      clientId: connection.clientId,
    });
    const pem =
      typeof answer === 'object' && answer !== null && !Array.isArray(answer) ? answer['certificatePem'] : undefined;
    if (typeof pem !== 'string')
      throw new Rejection(400, 'InvalidLambdaResponse', 'The certificate provider returned no certificatePem.');
    return pem;
  }

  /** Registers a certificate, waiting for activation, and gives out the token that proves who asked for it. */
  #handOut(certificatePem: string): {
    certificateId: string;
    certificatePem: string;
    certificateOwnershipToken: string;
  } {
    const { certificateId } = this.#registry.registerCertificate(certificatePem, CertificateStatus.PendingActivation, {
      mode: 'SNI_ONLY',
    });
    const certificateOwnershipToken = randomBytes(48).toString('base64url');
    const ownership: Ownership = { certificateId, endsAt: this.#cloud.clock.now() + TOKEN_MS };
    this.#cloud.store.put(TOKENS, certificateOwnershipToken, ownership);
    this.#planExpiry(certificateOwnershipToken, ownership);
    return { certificateId, certificatePem, certificateOwnershipToken };
  }

  async #registerThing(connection: Connection, name: string, body: Readonly<Record<string, Json>>): Promise<Json> {
    const template = this.#templates.get(name);
    if (template === undefined || !template.enabled)
      throw new Rejection(404, 'ResourceNotFound', `Provisioning template ${name} does not exist or is disabled.`);
    const token = body['certificateOwnershipToken'];
    if (typeof token !== 'string' || token === '') {
      throw new Rejection(400, 'InvalidCertificateOwnershipToken', 'Certificate ownership token cannot be empty.');
    }
    const claim = this.#registry.certificate(connection.certificateId)?.claim;
    if (claim !== undefined && claim.templateName !== name)
      throw new Rejection(403, 'AccessDenied', 'The claim is for another template.');
    const certificateId = this.#owned(token);
    const given = readParameters(body['parameters']);
    const overrides = await this.#askHook(template, connection, certificateId, given);
    // The hook may have taken its time; the same token may have been used meanwhile.
    this.#owned(token);
    let resolved: ResolvedTemplate;
    try {
      resolved = resolveTemplate(template.body, { ...given, ...overrides, [CERTIFICATE_ID]: certificateId });
    } catch (error) {
      if (error instanceof TemplateError) throw new Rejection(400, 'InvalidParameters', error.message);
      throw error;
    }
    this.#apply(template, certificateId, resolved, token);
    return { deviceConfiguration: { ...resolved.deviceConfiguration }, thingName: resolved.thing?.name ?? '' };
  }

  #owned(token: string): string {
    const ownership = this.#cloud.store.get<Ownership>(TOKENS, token);
    if (ownership === undefined || ownership.endsAt < this.#cloud.clock.now()) {
      throw new Rejection(
        400,
        'InvalidCertificateOwnershipToken',
        'The certificate ownership token is not valid or has expired.',
      );
    }
    return ownership.certificateId;
  }

  async #askHook(
    template: FleetTemplate,
    connection: Connection,
    certificateId: string,
    parameters: Readonly<Record<string, string>>,
  ): Promise<Record<string, string>> {
    if (template.hookArn === undefined) return {};
    const answer = await this.#invoke(template.hookArn, template.arn, 'Pre-provisioning hook', {
      claimCertificateId: connection.certificateId,
      certificateId,
      certificatePem: this.#registry.requireCertificate(certificateId).certificatePem,
      templateArn: template.arn,
      clientId: connection.clientId,
      parameters: { ...parameters },
    });
    const fields = typeof answer === 'object' && answer !== null && !Array.isArray(answer) ? answer : {};
    if (fields['allowProvisioning'] !== true)
      throw new Rejection(403, 'AccessDenied', 'Access denied by the pre-provisioning hook.');
    return readParameters(fields['parameterOverrides'] ?? {});
  }

  /** Makes what the template says with the rights of its role, all or nothing, and uses the token up. */
  #apply(template: FleetTemplate, certificateId: string, resolved: ResolvedTemplate, token: string): void {
    const { thing } = resolved;
    const role = { roleArn: template.roleArn };
    const certificateArn = this.#registry.certificateArn(certificateId);
    this.#cloud.authorize(role, { action: 'iot:UpdateCertificate', resource: certificateArn });
    if (thing !== undefined) {
      const thingArn = this.#registry.thingArn(thing.name);
      const existing = this.#registry.thing(thing.name);
      this.#cloud.authorize(role, {
        action: existing === undefined ? 'iot:CreateThing' : 'iot:UpdateThing',
        resource: thingArn,
      });
      this.#cloud.authorize(role, { action: 'iot:AttachThingPrincipal', resource: thingArn });
      this.#cloud.authorize(role, { action: 'iot:AttachThingPrincipal', resource: certificateArn });
    }
    for (const name of resolved.policyNames) {
      this.#cloud.authorize(role, { action: 'iot:AttachPolicy', resource: certificateArn });
      if (!this.#registry.hasPolicy(name))
        throw new Rejection(404, 'ResourceNotFound', `Policy ${name} does not exist.`);
    }
    this.#registry.transaction(() => {
      if (thing !== undefined) {
        this.#makeThing(thing);
        this.#registry.attachThing(certificateId, thing.name, 'NON_EXCLUSIVE_THING');
      }
      for (const name of resolved.policyNames) this.#registry.attachPolicy(certificateId, name);
      this.#registry.setCertificateStatus(certificateId, resolved.status);
      this.#cloud.store.delete(TOKENS, token);
    });
    this.#expiries.get(token)?.();
    this.#expiries.delete(token);
  }

  #makeThing(thing: NonNullable<ResolvedTemplate['thing']>): void {
    const existing = this.#registry.thing(thing.name);
    if (existing === undefined) {
      this.#registry.createThing(thing.name, thing.typeName, thing.attributes);
      return;
    }
    const { attributes, typeName } = thing.overrides;
    if (attributes === 'FAIL' || typeName === 'FAIL')
      throw new Rejection(409, 'ResourceConflict', `Thing ${thing.name} already exists.`);
    const changes = {
      ...(attributes === 'REPLACE' ? { attributes: thing.attributes } : {}),
      ...(attributes === 'MERGE' ? { attributes: { ...existing.attributes, ...thing.attributes } } : {}),
      ...(typeName === 'REPLACE' && thing.typeName !== undefined ? { thingTypeName: thing.typeName } : {}),
    };
    if (Object.keys(changes).length > 0) this.#registry.updateThing(thing.name, changes);
  }

  async #invoke(functionArn: string, sourceArn: string, what: string, payload: Json): Promise<Json> {
    try {
      this.#cloud.authorizeInvoke(functionArn, 'iot.amazonaws.com', sourceArn);
    } catch (error) {
      this.#cloud.log.warn(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      throw new Rejection(403, 'AccessDenied', `${what}: access denied.`);
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Rejection(403, 'AccessDenied', `${what} did not answer within ${FUNCTION_MS} ms.`)),
        FUNCTION_MS,
      );
    });
    try {
      const { payload: answer, functionError } = await Promise.race([
        this.#cloud.functions.invoke(functionArn, payload),
        late,
      ]);
      if (functionError === undefined) return answer;
      this.#cloud.log.warn(`${what} failed: ${JSON.stringify(answer)}`);
      throw new Rejection(403, 'AccessDenied', `${what} failed.`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A certificate that nobody registered a thing with is deleted when its token ends. */
  #planExpiry(token: string, ownership: Ownership): void {
    const cancel = this.#cloud.clock.at(ownership.endsAt, () => {
      this.#expiries.delete(token);
      this.#cloud.store.delete(TOKENS, token);
      const certificate = this.#registry.certificate(ownership.certificateId);
      if (certificate?.status === CertificateStatus.PendingActivation)
        this.#registry.deleteCertificate(ownership.certificateId, true);
    });
    this.#expiries.set(token, cancel);
  }
}

function readBody(payload: Buffer): Readonly<Record<string, Json>> {
  let body: Json;
  try {
    body = payload.length === 0 ? {} : (JSON.parse(payload.toString('utf8')) as Json);
  } catch {
    throw new Rejection(400, 'InvalidPayload', 'The payload is not JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Rejection(400, 'InvalidPayload', 'The payload is not a JSON object.');
  return body;
}

function readParameters(value: Json | undefined): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value))
    throw new Rejection(400, 'InvalidParameters', 'parameters must be an object of strings.');
  const parameters: Record<string, string> = {};
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new Rejection(400, 'InvalidParameters', `Parameter ${name} must be a string.`);
    if (name.startsWith('AWS::')) throw new Rejection(400, 'InvalidParameters', `Parameter ${name} is reserved.`);
    parameters[name] = text;
  }
  return parameters;
}

function asRejection(error: unknown): Rejection {
  if (error instanceof Rejection) return error;
  if (error instanceof AwsError)
    return new Rejection(error.status, error.code.replace(/Exception$/, ''), error.message);
  return new Rejection(500, 'InternalFailure', error instanceof Error ? error.message : String(error));
}
