import { randomUUID } from 'node:crypto';
import {
  AwsError,
  type AwsService,
  type Cloud,
  type Json,
  type Part,
  type Permission,
  type ResourceType,
} from '../../cloud.ts';
import { Fields, type JsonObject } from '../fields.ts';
import { keyPermissions } from '../kms/permissions.ts';
import { jsonService } from '../protocol/json.ts';
import { lateService } from '../protocol/late.ts';
import { generateSecretString } from './password.ts';
import { Secrets, type SecretValue } from './secrets.ts';

const newValue = (input: Fields): SecretValue => {
  const text = input.optionalText('SecretString');
  const binary = input.optionalText('SecretBinary');
  if ((text === undefined) === (binary === undefined)) {
    throw new AwsError('InvalidParameterException', 'You must provide either SecretString or SecretBinary.');
  }
  return text === undefined ? { binary: binary ?? '' } : { text };
};

/** Secrets Manager as functions call it. */
const secretsService = (cloud: Cloud, secrets: Secrets): AwsService => {
  const permissions =
    (action: string, keyActions: readonly ('Decrypt' | 'GenerateDataKey')[]) =>
    (input: Fields): Permission[] => {
      const secret = secrets.find(input.text('SecretId'));
      return [
        { action: `secretsmanager:${action}`, resource: secret.arn },
        ...keyPermissions(cloud, secret.keyName, 'secretsmanager', keyActions),
      ];
    };
  return jsonService({
    signingNames: ['secretsmanager'],
    target: 'secretsmanager',
    version: '1.1',
    operations: {
      GetSecretValue: {
        permissions: permissions('GetSecretValue', ['Decrypt']),
        run(input) {
          const secret = secrets.find(input.text('SecretId'));
          const version = secrets.version(secret, input.optionalText('VersionId'), input.optionalText('VersionStage'));
          return {
            ARN: secret.arn,
            Name: secret.name,
            VersionId: version.id,
            VersionStages: [...version.stages],
            CreatedDate: version.createdAt / 1000,
            ...(version.text === undefined ? {} : { SecretString: version.text }),
            ...(version.binary === undefined ? {} : { SecretBinary: version.binary }),
          };
        },
      },
      PutSecretValue: {
        permissions: permissions('PutSecretValue', ['GenerateDataKey', 'Decrypt']),
        run(input) {
          const secret = secrets.find(input.text('SecretId'));
          const stages = input.has('VersionStages') ? input.texts('VersionStages') : ['AWSCURRENT'];
          const version = secrets.put(
            secret,
            newValue(input),
            input.optionalText('ClientRequestToken') ?? randomUUID(),
            stages,
          );
          return { ARN: secret.arn, Name: secret.name, VersionId: version.id, VersionStages: [...version.stages] };
        },
      },
      DescribeSecret: {
        permissions: permissions('DescribeSecret', []),
        run(input) {
          const secret = secrets.find(input.text('SecretId'));
          return {
            ARN: secret.arn,
            Name: secret.name,
            Description: secret.description,
            CreatedDate: secret.createdAt / 1000,
            RotationEnabled: false,
            VersionIdsToStages: Object.fromEntries(secret.versions.map(({ id, stages }) => [id, [...stages]])),
            ...(secret.keyName === undefined ? {} : { KmsKeyId: secret.keyName }),
          };
        },
      },
    },
  });
};

const secretResource = (secrets: () => Secrets): ResourceType => ({
  type: 'AWS::SecretsManager::Secret',
  honoured: ['Name', 'Description', 'KmsKeyId', 'SecretString', 'GenerateSecretString'],
  leftOut: { ReplicaRegions: 'there is one region here', Tags: 'tags change nothing here' },
  create(resource, cloud) {
    const fields = new Fields(resource.properties as JsonObject);
    const keyName = fields.optionalText('KmsKeyId');
    const generate = fields.optionalObject('GenerateSecretString');
    const text = fields.optionalText('SecretString');
    const initial = (): SecretValue | undefined => {
      if (generate !== undefined) return { text: generateSecretString(generate) };
      return text === undefined ? undefined : { text };
    };
    const secret = secrets().create(fields.optionalText('Name') ?? cloud.physicalName(resource), initial, {
      description: fields.optionalText('Description') ?? '',
      ...(keyName === undefined ? {} : { keyName }),
    });
    return { ref: secret.arn, attributes: { Id: secret.arn } };
  },
});

const secretPolicyResource: ResourceType = {
  type: 'AWS::SecretsManager::ResourcePolicy',
  honoured: ['SecretId', 'ResourcePolicy'],
  leftOut: { BlockPublicPolicy: 'nothing of the local cloud can be reached from another machine' },
  create(resource, cloud) {
    const secret = new Secrets(cloud).find(new Fields(resource.properties as JsonObject).text('SecretId'));
    const policy: Json | undefined = resource.properties['ResourcePolicy'];
    cloud.resourcePolicy(secret.arn, policy ?? {});
    return { ref: secret.arn };
  },
};

/** Secrets Manager: secrets of the template, generated or given, with versions and stages, kept in the cloud's store. */
export const secretsPart = (): Part => {
  let registry: Secrets | undefined;
  let service: AwsService | undefined;
  return {
    name: 'secretsmanager',
    services: [lateService(['secretsmanager'], () => service)],
    resources: [
      secretResource(() => {
        if (registry === undefined) throw new Error('Secrets Manager has not been attached');
        return registry;
      }),
      secretPolicyResource,
    ],
    attach(cloud) {
      registry = new Secrets(cloud);
      service = secretsService(cloud, registry);
    },
  };
};
