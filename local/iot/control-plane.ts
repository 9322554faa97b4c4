import type { AwsService, Cloud, Json, Permission } from '../cloud.ts';
import { iotErrors } from './errors.ts';
import type { Issuer } from './issuer.ts';
import {
  flag,
  header,
  integer,
  label,
  member,
  type Operation,
  type OperationInput,
  optionalMember,
  restService,
} from './operations.ts';
import { CertificateStatus, type Registry, type ThingPrincipalType } from './registry.ts';

/** How long a claim of `CreateProvisioningClaim` lasts. */
const CLAIM_MS = 5 * 60_000;

/** What the control plane needs of the rest of IoT. */
export interface ControlPlaneParts {
  readonly cloud: Cloud;
  readonly registry: Registry;
  readonly issuer: Issuer;
  /** Whether a fleet provisioning template of this name is deployed and enabled. */
  hasTemplate(name: string): boolean;
}

/**
 * The control plane (SigV4 name `iot`): things, certificates, attachments, claims.
 * https://docs.aws.amazon.com/iot/latest/apireference/API_Operations_AWS_IoT.html
 *
 * Attaching and detaching a thing is checked on the certificate and on the thing, so that a role that passes here has
 * both ARNs.
 */
export function controlPlane(parts: ControlPlaneParts): AwsService {
  return restService(
    ['iot'],
    [...thingOperations(parts), ...certificateOperations(parts), ...attachmentOperations(parts)],
  );
}

function thingOperations({ cloud, registry }: ControlPlaneParts): Operation[] {
  const onThing = (action: string) => (input: OperationInput) => [
    { action: `iot:${action}`, resource: registry.thingArn(label(input, 'thingName')) },
  ];
  return [
    {
      name: 'CreateThing',
      method: 'POST',
      path: '/things/{thingName}',
      members: ['thingTypeName', 'attributePayload'],
      permissions: onThing('CreateThing'),
      execute(input) {
        const thing = registry.createThing(
          label(input, 'thingName'),
          optionalMember(input, 'thingTypeName'),
          attributesOf(input)?.attributes ?? {},
        );
        return { thingName: thing.thingName, thingArn: registry.thingArn(thing.thingName), thingId: thing.thingId };
      },
    },
    {
      name: 'DescribeThing',
      method: 'GET',
      path: '/things/{thingName}',
      permissions: onThing('DescribeThing'),
      execute(input) {
        const thing = registry.requireThing(label(input, 'thingName'));
        return {
          defaultClientId: thing.thingName,
          thingName: thing.thingName,
          thingId: thing.thingId,
          thingArn: registry.thingArn(thing.thingName),
          ...(thing.thingTypeName === undefined ? {} : { thingTypeName: thing.thingTypeName }),
          attributes: { ...thing.attributes },
          version: thing.version,
        };
      },
    },
    {
      name: 'UpdateThing',
      method: 'PATCH',
      path: '/things/{thingName}',
      members: ['thingTypeName', 'attributePayload', 'expectedVersion'],
      permissions: onThing('UpdateThing'),
      execute(input) {
        const name = label(input, 'thingName');
        const given = attributesOf(input);
        const expected = input.members['expectedVersion'];
        const attributes =
          given?.merge === true
            ? { ...registry.requireThing(name).attributes, ...given.attributes }
            : given?.attributes;
        registry.updateThing(
          name,
          { thingTypeName: optionalMember(input, 'thingTypeName'), attributes },
          typeof expected === 'number' ? expected : undefined,
        );
        return {};
      },
    },
    {
      name: 'DeleteThing',
      method: 'DELETE',
      path: '/things/{thingName}',
      query: ['expectedVersion'],
      permissions: onThing('DeleteThing'),
      execute(input) {
        registry.deleteThing(label(input, 'thingName'), integer(input, 'expectedVersion', 0, Number.MAX_SAFE_INTEGER));
        return {};
      },
    },
    {
      name: 'DescribeEndpoint',
      method: 'GET',
      path: '/endpoint',
      query: ['endpointType'],
      permissions: () => [{ action: 'iot:DescribeEndpoint', resource: '*' }],
      execute(input) {
        const type = input.query['endpointType'] ?? 'iot:Data-ATS';
        if (type !== 'iot:Data-ATS')
          throw iotErrors.invalid(`Endpoint type ${type} is not emulated by the local cloud`);
        return { endpointAddress: `localhost:${cloud.ports.mqtt}` };
      },
    },
  ];
}

function certificateOperations({ cloud, registry, issuer, hasTemplate }: ControlPlaneParts): Operation[] {
  const onCertificate = (action: string) => (input: OperationInput) => [
    { action: `iot:${action}`, resource: registry.certificateArn(label(input, 'certificateId')) },
  ];
  const anywhere = (action: string) => (): Permission[] => [{ action: `iot:${action}`, resource: '*' }];
  const answer = (certificateId: string): Record<string, Json> => ({
    certificateArn: registry.certificateArn(certificateId),
    certificateId,
  });
  return [
    {
      name: 'RegisterCertificateWithoutCA',
      method: 'POST',
      path: '/certificate/register-no-ca',
      members: ['certificatePem', 'status'],
      permissions: anywhere('RegisterCertificateWithoutCA'),
      execute(input) {
        const status = statusOf(optionalMember(input, 'status') ?? CertificateStatus.Inactive);
        return answer(
          registry.registerCertificate(member(input, 'certificatePem'), status, { mode: 'SNI_ONLY' }).certificateId,
        );
      },
    },
    {
      name: 'RegisterCertificate',
      method: 'POST',
      path: '/certificate/register',
      query: ['setAsActive'],
      members: ['certificatePem', 'caCertificatePem', 'status'],
      permissions: anywhere('RegisterCertificate'),
      execute() {
        // It needs a CA of the account (RegisterCACertificate), and this account has none.
        throw iotErrors.certificateInvalid(
          'CA certificate is not registered in this account; use RegisterCertificateWithoutCA',
        );
      },
    },
    {
      name: 'CreateKeysAndCertificate',
      method: 'POST',
      path: '/keys-and-certificate',
      query: ['setAsActive'],
      permissions: anywhere('CreateKeysAndCertificate'),
      async execute(input) {
        const { certificatePem, keyPair } = await issuer.createKeysAndCertificate();
        const status = flag(input, 'setAsActive') ? CertificateStatus.Active : CertificateStatus.Inactive;
        const { certificateId } = registry.registerCertificate(certificatePem, status, { mode: 'DEFAULT' });
        return {
          ...answer(certificateId),
          certificatePem,
          keyPair: { PublicKey: keyPair.publicKey, PrivateKey: keyPair.privateKey },
        };
      },
    },
    {
      name: 'DescribeCertificate',
      method: 'GET',
      path: '/certificates/{certificateId}',
      permissions: onCertificate('DescribeCertificate'),
      execute(input) {
        const certificate = registry.requireCertificate(label(input, 'certificateId'));
        const parsed = registry.parsedCertificate(certificate.certificateId);
        return {
          certificateDescription: {
            ...answer(certificate.certificateId),
            status: certificate.status,
            certificatePem: certificate.certificatePem,
            ownedBy: cloud.account,
            creationDate: certificate.createdAt / 1000,
            lastModifiedDate: certificate.modifiedAt / 1000,
            customerVersion: 1,
            validity: { notBefore: parsed.notBefore / 1000, notAfter: parsed.notAfter / 1000 },
            certificateMode: certificate.mode,
          },
        };
      },
    },
    {
      name: 'UpdateCertificate',
      method: 'PUT',
      path: '/certificates/{certificateId}',
      query: ['newStatus'],
      permissions: onCertificate('UpdateCertificate'),
      execute(input) {
        registry.setCertificateStatus(label(input, 'certificateId'), statusOf(input.query['newStatus'] ?? ''));
        return undefined;
      },
    },
    {
      name: 'DeleteCertificate',
      method: 'DELETE',
      path: '/certificates/{certificateId}',
      query: ['forceDelete'],
      permissions: onCertificate('DeleteCertificate'),
      execute(input) {
        registry.deleteCertificate(label(input, 'certificateId'), flag(input, 'forceDelete'));
        return undefined;
      },
    },
    {
      name: 'CreateProvisioningClaim',
      method: 'POST',
      path: '/provisioning-templates/{templateName}/provisioning-claim',
      permissions: (input) => [
        {
          action: 'iot:CreateProvisioningClaim',
          resource: cloud.arn('iot', `provisioningtemplate/${label(input, 'templateName')}`),
        },
      ],
      async execute(input) {
        const templateName = label(input, 'templateName');
        if (!hasTemplate(templateName))
          throw iotErrors.notFound(`Provisioning template ${templateName} does not exist`);
        const endsAt = cloud.clock.now() + CLAIM_MS;
        const { certificatePem, keyPair } = await issuer.createKeysAndCertificate(endsAt);
        const { certificateId } = registry.registerCertificate(certificatePem, CertificateStatus.Active, {
          mode: 'DEFAULT',
          claim: { templateName, endsAt },
        });
        return {
          certificateId,
          certificatePem,
          keyPair: { PublicKey: keyPair.publicKey, PrivateKey: keyPair.privateKey },
          expiration: Math.floor(endsAt / 1000),
        };
      },
    },
  ];
}

function attachmentOperations({ registry }: ControlPlaneParts): Operation[] {
  const onThingAndPrincipal = (action: string) => (input: OperationInput) => [
    { action: `iot:${action}`, resource: registry.thingArn(label(input, 'thingName')) },
    { action: `iot:${action}`, resource: header(input, 'x-amzn-principal') },
  ];
  const onTarget = (action: string) => (input: OperationInput) => [
    { action: `iot:${action}`, resource: member(input, 'target') },
  ];
  return [
    {
      name: 'AttachThingPrincipal',
      method: 'PUT',
      path: '/things/{thingName}/principals',
      query: ['thingPrincipalType'],
      permissions: onThingAndPrincipal('AttachThingPrincipal'),
      execute(input) {
        registry.attachThing(
          registry.certificateIdOfArn(header(input, 'x-amzn-principal')),
          label(input, 'thingName'),
          principalType(input.query['thingPrincipalType'] ?? 'NON_EXCLUSIVE_THING'),
        );
        return {};
      },
    },
    {
      name: 'DetachThingPrincipal',
      method: 'DELETE',
      path: '/things/{thingName}/principals',
      permissions: onThingAndPrincipal('DetachThingPrincipal'),
      execute(input) {
        registry.detachThing(registry.certificateIdOfArn(header(input, 'x-amzn-principal')), label(input, 'thingName'));
        return {};
      },
    },
    {
      name: 'ListThingPrincipals',
      method: 'GET',
      path: '/things/{thingName}/principals',
      query: ['maxResults', 'nextToken'],
      permissions: (input) => [
        { action: 'iot:ListThingPrincipals', resource: registry.thingArn(label(input, 'thingName')) },
      ],
      execute(input) {
        const { thingName } = registry.requireThing(label(input, 'thingName'));
        const { page, nextToken } = pageOf(registry.principalsOf(thingName), input);
        return { principals: page.map((id) => registry.certificateArn(id)), ...nextToken };
      },
    },
    {
      name: 'ListThingPrincipalsV2',
      method: 'GET',
      path: '/things/{thingName}/principals-v2',
      query: ['maxResults', 'nextToken', 'thingPrincipalType'],
      permissions: (input) => [
        { action: 'iot:ListThingPrincipals', resource: registry.thingArn(label(input, 'thingName')) },
      ],
      execute(input) {
        const { thingName } = registry.requireThing(label(input, 'thingName'));
        const wanted = input.query['thingPrincipalType'];
        const all = registry
          .principalsOf(thingName)
          .map((id) => ({
            principal: registry.certificateArn(id),
            thingPrincipalType: registry.thingsOf(id).get(thingName) ?? '',
          }))
          .filter((entry) => wanted === undefined || entry.thingPrincipalType === wanted);
        const { page, nextToken } = pageOf(all, input);
        return { thingPrincipalObjects: page, ...nextToken };
      },
    },
    {
      name: 'AttachPolicy',
      method: 'PUT',
      path: '/target-policies/{policyName}',
      members: ['target'],
      permissions: onTarget('AttachPolicy'),
      execute(input) {
        registry.attachPolicy(registry.certificateIdOfArn(member(input, 'target')), label(input, 'policyName'));
        return undefined;
      },
    },
    {
      name: 'DetachPolicy',
      method: 'POST',
      path: '/target-policies/{policyName}',
      members: ['target'],
      permissions: onTarget('DetachPolicy'),
      execute(input) {
        registry.detachPolicy(registry.certificateIdOfArn(member(input, 'target')), label(input, 'policyName'));
        return undefined;
      },
    },
    {
      name: 'ListAttachedPolicies',
      method: 'POST',
      path: '/attached-policies/{target}',
      query: ['recursive', 'marker', 'pageSize'],
      permissions: (input) => [{ action: 'iot:ListAttachedPolicies', resource: label(input, 'target') }],
      execute(input) {
        const id = registry.requireCertificate(registry.certificateIdOfArn(label(input, 'target'))).certificateId;
        // A certificate has at most 10 policies: always one page.
        return {
          policies: registry
            .policyNamesOf(id)
            .map((policyName) => ({ policyName, policyArn: registry.policyArn(policyName) })),
        };
      },
    },
  ];
}

function attributesOf(input: OperationInput): { attributes: Record<string, string>; merge: boolean } | undefined {
  const payload = input.members['attributePayload'];
  if (payload === undefined || payload === null) return undefined;
  if (typeof payload !== 'object' || Array.isArray(payload))
    throw iotErrors.invalid('attributePayload must be an object');
  const attributes: Record<string, string> = {};
  const given = payload['attributes'] ?? {};
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw iotErrors.invalid('attributes must be an object');
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== 'string') throw iotErrors.invalid(`Attribute ${name} must be a string`);
    attributes[name] = value;
  }
  return { attributes, merge: payload['merge'] === true };
}

function statusOf(value: string): CertificateStatus {
  if (value === CertificateStatus.Active || value === CertificateStatus.Inactive || value === CertificateStatus.Revoked)
    return value;
  throw iotErrors.invalid(`Invalid certificate status: ${value}`);
}

function principalType(value: string): ThingPrincipalType {
  if (value === 'EXCLUSIVE_THING' || value === 'NON_EXCLUSIVE_THING') return value;
  throw iotErrors.invalid(`Invalid thingPrincipalType: ${value}`);
}

/** `nextToken` is the place in the list: what is listed changes rarely and is short. */
function pageOf<T>(all: readonly T[], input: OperationInput): { page: T[]; nextToken: { nextToken?: string } } {
  const size = integer(input, 'maxResults', 1, 250) ?? 25;
  const start = integer(input, 'nextToken', 0, Number.MAX_SAFE_INTEGER) ?? 0;
  const end = start + size;
  return { page: all.slice(start, end), nextToken: end < all.length ? { nextToken: String(end) } : {} };
}
