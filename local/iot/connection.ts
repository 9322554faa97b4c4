import type { Client } from 'aedes';
import { type BoundPolicies, bindPolicies, type CompiledPolicy, compilePolicy, type PolicyContext } from './policy.ts';
import type { Registry, Thing } from './registry.ts';

/** Why a connection ended, in AWS's words (lifecycle events). */
export type DisconnectReason =
  | 'API_INITIATED_DISCONNECT'
  | 'AUTH_ERROR'
  | 'CLIENT_ERROR'
  | 'CLIENT_INITIATED_DISCONNECT'
  | 'CONNECTION_LOST'
  | 'DUPLICATE_CLIENTID'
  | 'FORBIDDEN_ACCESS'
  | 'MQTT_KEEP_ALIVE_TIMEOUT'
  | 'SERVER_INITIATED_DISCONNECT';

/** What is known of a connection before the broker accepts it. */
export interface ConnectionRequest {
  readonly client: Client;
  readonly clientId: string;
  readonly certificateId: string;
  readonly clean: boolean;
  readonly hasWill: boolean;
  /** Seconds. */
  readonly keepAlive: number;
  readonly ipAddress: string;
  readonly port: number;
}

/** One MQTT connection and what it may do. */
export class Connection {
  readonly client: Client;
  readonly clientId: string;
  readonly certificateId: string;
  readonly clean: boolean;
  readonly keepAlive: number;
  readonly ipAddress: string;
  readonly port: number;
  /** Topic filters that were granted, with their QoS. */
  readonly filters = new Map<string, number>();
  /** Set where the reason is known before the connection ends. */
  disconnectReason: DisconnectReason | undefined;
  /** Set by `DeleteConnection` with `preventWillMessage`. */
  suppressWill = false;
  readonly #registry: Registry;
  readonly #attributes: readonly string[];
  #policies: BoundPolicies | undefined;

  constructor(registry: Registry, request: ConnectionRequest) {
    this.#registry = registry;
    this.client = request.client;
    this.clientId = request.clientId;
    this.certificateId = request.certificateId;
    this.clean = request.clean;
    this.keepAlive = request.keepAlive;
    this.ipAddress = request.ipAddress;
    this.port = request.port;
    this.#attributes = [...(request.clean ? [] : ['PersistentConnect']), ...(request.hasWill ? ['LastWill'] : [])];
  }

  /** Policies or registry entries behind this connection changed: what it may do is worked out again when it is asked next. */
  refresh(): void {
    this.#policies = undefined;
  }

  /** Whether the certificate's policies allow the action on the resource, e.g. `arn:aws:iot:...:topic/a/b`. */
  allows(action: string, resource: string): boolean {
    this.#policies ??= bindPolicies(this.#applicable(), this.#context());
    return this.#policies.allows(action, resource);
  }

  /** The thing of this connection: the one its certificate belongs to alone, or else the one named as the client is. */
  thing(): Thing | undefined {
    return this.#registry.thing(this.exclusiveThingName() ?? this.clientId);
  }

  /** Only exclusive attachment puts the thing's name into lifecycle events. */
  exclusiveThingName(): string | undefined {
    for (const [name, type] of this.#registry.thingsOf(this.certificateId)) if (type === 'EXCLUSIVE_THING') return name;
    return undefined;
  }

  #applicable(): CompiledPolicy[] {
    const claim = this.#registry.certificate(this.certificateId)?.claim;
    const policies = this.#registry.policiesOf(this.certificateId);
    return claim === undefined ? policies : [...policies, claimPolicy(claim.templateName)];
  }

  #context(): PolicyContext {
    const thing = this.thing();
    const attached = thing !== undefined && this.#registry.thingsOf(this.certificateId).has(thing.thingName);
    const certificate = this.#registry.parsedCertificate(this.certificateId);
    return {
      variable: (name) => {
        const lower = name.toLowerCase();
        switch (lower) {
          case 'iot:clientid':
            return this.clientId;
          case 'iot:connection.thing.thingname':
            return thing?.thingName;
          case 'iot:connection.thing.thingtypename':
            return thing?.thingTypeName;
          case 'iot:connection.thing.isattached':
            return String(attached);
          case 'iot:certificate.serialnumber':
            return certificate.serialNumber;
          case 'aws:sourceip':
            return this.ipAddress;
        }
        const attribute = /^iot:Connection\.Thing\.Attributes\[(.+)\]$/i.exec(name)?.[1];
        if (attribute !== undefined) return own(thing?.attributes, attribute);
        const [, part, field] = /^iot:Certificate\.(Subject|Issuer)\.([A-Za-z]+)$/i.exec(name) ?? [];
        if (part === undefined || field === undefined) return undefined;
        const names = part.toLowerCase() === 'subject' ? certificate.subject : certificate.issuer;
        const known = Object.keys(names).find((key) => key.toLowerCase() === field.toLowerCase());
        return known === undefined ? undefined : names[known];
      },
      list: (name) => (name.toLowerCase() === 'iot:connectattributes' ? this.#attributes : undefined),
    };
  }
}

function own(values: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return values !== undefined && Object.hasOwn(values, name) ? values[name] : undefined;
}

/** What a claim of `CreateProvisioningClaim` may do: ask for a certificate and provision with its template. */
function claimPolicy(templateName: string): CompiledPolicy {
  const families = [
    '$aws/certificates/create/*',
    '$aws/certificates/create-from-csr/*',
    `$aws/provisioning-templates/${templateName}/provision/*`,
  ];
  return compilePolicy(`claim of ${templateName}`, {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
      {
        Effect: 'Allow',
        Action: ['iot:Publish', 'iot:Receive'],
        Resource: families.map((family) => `arn:aws:iot:*:*:topic/${family}`),
      },
      {
        Effect: 'Allow',
        Action: 'iot:Subscribe',
        Resource: families.map((family) => `arn:aws:iot:*:*:topicfilter/${family}`),
      },
    ],
  });
}
