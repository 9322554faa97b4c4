import type { Json } from '../cloud.ts';

/** What a provisioning template does with an attribute, type or group of a thing that exists already. */
type Override = 'DO_NOTHING' | 'REPLACE' | 'MERGE' | 'FAIL';

/** A fleet provisioning template, checked when it is made. */
export interface ProvisioningTemplate {
  readonly parameters: Readonly<Record<string, { readonly default?: string }>>;
  readonly thing: ThingResource | undefined;
  readonly certificate: { readonly status: 'ACTIVE' | 'INACTIVE' };
  readonly policies: readonly Json[];
  readonly deviceConfiguration: Readonly<Record<string, Json>>;
}

interface ThingResource {
  readonly name: Json;
  readonly typeName: Json | undefined;
  readonly attributes: Readonly<Record<string, Json>>;
  readonly overrides: { readonly attributes: Override; readonly typeName: Override };
}

/** The resources of a template for one device. */
export interface ResolvedTemplate {
  readonly thing:
    | {
        readonly name: string;
        readonly typeName: string | undefined;
        readonly attributes: Readonly<Record<string, string>>;
        readonly overrides: { readonly attributes: Override; readonly typeName: Override };
      }
    | undefined;
  readonly status: 'ACTIVE' | 'INACTIVE';
  readonly policyNames: readonly string[];
  readonly deviceConfiguration: Readonly<Record<string, string>>;
}

/** The parameter that AWS itself fills in. */
export const CERTIFICATE_ID = 'AWS::IoT::Certificate::Id';

/** A parameter that is missing or a function that does not work out for this device. */
export class TemplateError extends Error {}

/**
 * Reads a template body. Throws a sentence for a fault and for whatever is not emulated.
 * https://docs.aws.amazon.com/iot/latest/developerguide/provision-template.html
 */
export function readTemplate(body: string): ProvisioningTemplate {
  const root = object(parseJson(body), 'the template', ['Parameters', 'Resources', 'DeviceConfiguration']);
  const resources = Object.values(object(root['Resources'], 'Resources')).map((resource) =>
    object(resource, 'a resource', ['Type', 'Properties', 'OverrideSettings']),
  );
  const ofType = (type: string) => resources.filter((resource) => resource['Type'] === type);
  for (const { Type: type } of resources) {
    if (type !== 'AWS::IoT::Thing' && type !== 'AWS::IoT::Certificate' && type !== 'AWS::IoT::Policy') {
      throw new Error(`resource type ${JSON.stringify(type)} is not emulated`);
    }
  }
  const certificates = ofType('AWS::IoT::Certificate');
  const things = ofType('AWS::IoT::Thing');
  const [certificate] = certificates;
  if (certificate === undefined || certificates.length !== 1)
    throw new Error('exactly one AWS::IoT::Certificate is needed');
  if (things.length > 1) throw new Error('at most one AWS::IoT::Thing');
  const template: ProvisioningTemplate = {
    parameters: readParameters(root['Parameters']),
    thing: things[0] === undefined ? undefined : readThing(things[0]),
    certificate: readCertificate(certificate),
    policies: ofType('AWS::IoT::Policy').map((policy) => {
      const { PolicyName: name } = object(policy['Properties'], 'AWS::IoT::Policy', ['PolicyName']);
      if (name === undefined) throw new Error('AWS::IoT::Policy needs PolicyName');
      return name;
    }),
    deviceConfiguration: object(root['DeviceConfiguration'] ?? {}, 'DeviceConfiguration'),
  };
  // Every function and parameter name is looked at once now, so that a template cannot fail for all devices later.
  const sample = Object.fromEntries(Object.keys(template.parameters).map((name) => [name, '0']));
  resolveTemplate(template, sample);
  return template;
}

/** Fills in a template for one device. Throws `TemplateError` when a parameter has no value. */
export function resolveTemplate(
  template: ProvisioningTemplate,
  given: Readonly<Record<string, string>>,
): ResolvedTemplate {
  const values = new Map<string, string>();
  for (const [name, { default: fallback }] of Object.entries(template.parameters)) {
    const value = Object.hasOwn(given, name) ? given[name] : fallback;
    if (value !== undefined) values.set(name, value);
  }
  const text = (value: Json): string => resolve(value, values);
  const { thing, certificate } = template;
  return {
    thing:
      thing === undefined
        ? undefined
        : {
            name: text(thing.name),
            typeName: thing.typeName === undefined ? undefined : text(thing.typeName),
            attributes: Object.fromEntries(
              Object.entries(thing.attributes).map(([name, value]) => [name, text(value)]),
            ),
            overrides: thing.overrides,
          },
    status: certificate.status,
    policyNames: template.policies.map(text),
    deviceConfiguration: Object.fromEntries(
      Object.entries(template.deviceConfiguration).map(([name, value]) => [name, text(value)]),
    ),
  };
}

function resolve(value: Json, values: ReadonlyMap<string, string>): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  const [call, ...more] = Object.entries(object(value, 'a value'));
  if (call === undefined || more.length > 0)
    throw new Error(`${JSON.stringify(value)} is no function of provisioning templates`);
  const [name, argument] = call;
  if (name === 'Ref') {
    const found = typeof argument === 'string' ? values.get(argument) : undefined;
    if (found === undefined) throw new TemplateError(`Parameter ${JSON.stringify(argument)} has no value`);
    return found;
  }
  const list = (length?: number): Json[] => {
    if (!Array.isArray(argument) || (length !== undefined && argument.length !== length))
      throw new Error(`${name} has the wrong arguments`);
    return argument;
  };
  switch (name) {
    case 'Fn::Join': {
      const [separator, parts] = list(2);
      if (!Array.isArray(parts)) throw new Error('Fn::Join needs a list');
      return parts.map((part) => resolve(part, values)).join(resolve(separator ?? '', values));
    }
    case 'Fn::Sub': {
      if (typeof argument !== 'string') throw new Error('Fn::Sub with a map is not emulated');
      return argument.replace(/\$\{([^}]+)\}/g, (_, parameter: string) => resolve({ Ref: parameter }, values));
    }
    case 'Fn::Select': {
      const [index, parts] = list(2);
      const chosen = Array.isArray(parts) ? parts[Number(resolve(index ?? '', values))] : undefined;
      if (chosen === undefined) throw new TemplateError('Fn::Select finds nothing');
      return resolve(chosen, values);
    }
    default:
      throw new Error(`${name} is not emulated in provisioning templates`);
  }
}

function readParameters(value: Json | undefined): Record<string, { default?: string }> {
  const parameters: Record<string, { default?: string }> = {};
  for (const [name, declaration] of Object.entries(object(value ?? {}, 'Parameters'))) {
    const fields = object(declaration, `parameter ${name}`, ['Type', 'Default']);
    if (fields['Type'] !== 'String') throw new Error(`parameter ${name} must have Type String`);
    parameters[name] = typeof fields['Default'] === 'string' ? { default: fields['Default'] } : {};
  }
  return parameters;
}

function readThing(resource: Readonly<Record<string, Json>>): ThingResource {
  const properties = object(resource['Properties'], 'AWS::IoT::Thing', [
    'ThingName',
    'ThingTypeName',
    'AttributePayload',
  ]);
  const settings = object(resource['OverrideSettings'] ?? {}, 'OverrideSettings', [
    'AttributePayload',
    'ThingTypeName',
  ]);
  if (properties['ThingName'] === undefined) throw new Error('AWS::IoT::Thing needs ThingName');
  return {
    name: properties['ThingName'],
    typeName: properties['ThingTypeName'],
    attributes: object(properties['AttributePayload'] ?? {}, 'AttributePayload'),
    overrides: { attributes: override(settings['AttributePayload']), typeName: override(settings['ThingTypeName']) },
  };
}

function readCertificate(resource: Readonly<Record<string, Json>>): ProvisioningTemplate['certificate'] {
  const properties = object(resource['Properties'], 'AWS::IoT::Certificate', ['CertificateId', 'Status']);
  const status = String(properties['Status'] ?? 'ACTIVE').toUpperCase();
  if (status !== 'ACTIVE' && status !== 'INACTIVE') throw new Error(`certificate status ${status} is not emulated`);
  const id = properties['CertificateId'];
  // Any other value would let the device choose whose certificate it activates.
  if (typeof id !== 'object' || id === null || Array.isArray(id) || id['Ref'] !== CERTIFICATE_ID) {
    throw new Error(`CertificateId must be {"Ref": "${CERTIFICATE_ID}"}`);
  }
  return { status };
}

function override(value: Json | undefined): Override {
  if (value === undefined) return 'DO_NOTHING';
  if (value === 'DO_NOTHING' || value === 'REPLACE' || value === 'MERGE' || value === 'FAIL') return value;
  throw new Error(`override ${JSON.stringify(value)} is unknown`);
}

function parseJson(body: string): Json {
  try {
    return JSON.parse(body) as Json;
  } catch (error) {
    throw new Error(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function object(value: Json | undefined, what: string, known?: readonly string[]): { readonly [key: string]: Json } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} must be an object`);
  if (known !== undefined) {
    for (const name of Object.keys(value))
      if (!known.includes(name)) throw new Error(`${name} of ${what} is not emulated`);
  }
  return value;
}
