import type { AwsService, Cloud, Part, ResourceType } from '../../cloud.ts';
import { Fields } from '../fields.ts';
import { stableUuid } from '../identifiers.ts';
import { lateService } from '../protocol/late.ts';
import { KeyRegistry, type KmsKey, newMaterial } from './keys.ts';
import { kmsService } from './service.ts';

const USAGES: readonly KmsKey['usage'][] = ['SIGN_VERIFY', 'ENCRYPT_DECRYPT', 'GENERATE_VERIFY_MAC', 'KEY_AGREEMENT'];

const usageOf = (text: string, logicalId: string): KmsKey['usage'] => {
  const usage = USAGES.find((candidate) => candidate === text);
  if (usage === undefined) throw new Error(`${logicalId}: KeyUsage ${text} is not known`);
  return usage;
};

const keyResource = (keys: () => KeyRegistry): ResourceType => ({
  type: 'AWS::KMS::Key',
  honoured: ['KeySpec', 'KeyUsage', 'Enabled', 'Description', 'KeyPolicy'],
  leftOut: {
    EnableKeyRotation: 'keys are not rotated here',
    RotationPeriodInDays: 'keys are not rotated here',
    PendingWindowInDays: 'the local cloud deletes no key',
    BypassPolicyLockoutSafetyCheck: 'nobody is locked out of a local cloud for good',
    Tags: 'tags change nothing here',
  },
  create(resource, cloud) {
    const fields = new Fields(resource.properties);
    const id = stableUuid(`kms ${cloud.account} ${cloud.region} ${resource.stackName} ${resource.logicalId}`);
    const spec = fields.optionalText('KeySpec') ?? 'SYMMETRIC_DEFAULT';
    const usage = usageOf(fields.optionalText('KeyUsage') ?? 'ENCRYPT_DECRYPT', resource.logicalId);
    const kept = keys().get(id);
    if (kept !== undefined && (kept.spec !== spec || kept.usage !== usage)) {
      throw new Error(
        `${resource.logicalId}: the kept key is a ${kept.spec} key, the template wants ${spec}: start with another --data folder`,
      );
    }
    const key: KmsKey = {
      id,
      arn: cloud.arn('kms', `key/${id}`),
      spec,
      usage,
      enabled: fields.has('Enabled') ? fields.flag('Enabled') : true,
      description: fields.optionalText('Description') ?? '',
      createdAt: kept?.createdAt ?? cloud.clock.now(),
      material: kept?.material ?? newMaterial(spec),
    };
    keys().put(key);
    const policy = resource.properties['KeyPolicy'];
    if (policy !== undefined) cloud.resourcePolicy(key.arn, policy);
    return { ref: id, attributes: { Arn: key.arn, KeyId: id } };
  },
});

const aliasResource = (keys: () => KeyRegistry): ResourceType => ({
  type: 'AWS::KMS::Alias',
  honoured: ['AliasName', 'TargetKeyId'],
  leftOut: {},
  create(resource) {
    const fields = new Fields(resource.properties);
    const name = fields.text('AliasName');
    keys().putAlias(name, fields.text('TargetKeyId'));
    return { ref: name };
  },
});

/** KMS: key pairs, symmetric and HMAC keys whose material stays in the cloud's store. */
export const kmsPart = (): Part => {
  let registry: KeyRegistry | undefined;
  let service: AwsService | undefined;
  const keys = (): KeyRegistry => {
    if (registry === undefined) throw new Error('KMS has not been attached');
    return registry;
  };
  return {
    name: 'kms',
    services: [lateService(['kms'], () => service)],
    resources: [keyResource(keys), aliasResource(keys)],
    attach(cloud: Cloud) {
      registry = new KeyRegistry(cloud);
      service = kmsService(cloud, registry);
    },
  };
};
