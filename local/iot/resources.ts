import type { Cloud, CreatedResource, Json, ResourceRequest, ResourceType } from '../cloud.ts';
import { compilePolicy } from './policy.ts';
import type { Provisioning } from './provisioning.ts';
import type { Registry } from './registry.ts';
import { readRule } from './rule.ts';
import type { Rules } from './rules.ts';
import { readTemplate } from './template.ts';

/** What the resource types fill. */
export interface ResourceTargets {
  readonly registry: Registry;
  readonly rules: Rules;
  readonly provisioning: Provisioning;
}

const TAGS = { Tags: 'nothing here is billed or selected by tag' };

/** The `AWS::IoT::*` resource types that the local cloud knows. */
export function iotResources(targets: () => ResourceTargets): ResourceType[] {
  return [
    {
      type: 'AWS::IoT::ThingType',
      honoured: ['ThingTypeName', 'DeprecateThingType'],
      leftOut: {
        ...TAGS,
        'ThingTypeProperties.ThingTypeDescription': 'documentation',
        'ThingTypeProperties.SearchableAttributes': 'there is no fleet index',
      },
      create(resource, cloud) {
        const name = nameOf(resource, 'ThingTypeName', cloud);
        // A deprecated type takes no new things.
        if (resource.properties['DeprecateThingType'] !== true) targets().registry.addThingType(name);
        const arn = cloud.arn('iot', `thingtype/${name}`);
        return { ref: name, attributes: { Arn: arn, Id: name } };
      },
    },
    {
      type: 'AWS::IoT::Policy',
      honoured: ['PolicyName', 'PolicyDocument'],
      leftOut: TAGS,
      create(resource, cloud) {
        const name = nameOf(resource, 'PolicyName', cloud);
        targets().registry.addPolicy(compilePolicy(name, resource.properties['PolicyDocument'] ?? null));
        return { ref: name, attributes: { Arn: targets().registry.policyArn(name), Id: name } };
      },
    },
    {
      type: 'AWS::IoT::PolicyPrincipalAttachment',
      honoured: ['PolicyName', 'Principal'],
      leftOut: {},
      create(resource) {
        const { registry } = targets();
        const policy = string(resource, 'PolicyName');
        const principal = string(resource, 'Principal');
        registry.attachPolicy(registry.certificateIdOfArn(principal), policy);
        return { ref: `${policy}|${principal}` };
      },
    },
    {
      type: 'AWS::IoT::ProvisioningTemplate',
      honoured: [
        'TemplateName',
        'TemplateBody',
        'ProvisioningRoleArn',
        'Enabled',
        'PreProvisioningHook',
        'TemplateType',
      ],
      leftOut: { ...TAGS, Description: 'documentation' },
      create: (resource, cloud) => createTemplate(targets().provisioning, resource, cloud),
    },
    {
      type: 'AWS::IoT::CertificateProvider',
      honoured: ['CertificateProviderName', 'LambdaFunctionArn', 'AccountDefaultForOperations'],
      leftOut: TAGS,
      create(resource, cloud) {
        const name = nameOf(resource, 'CertificateProviderName', cloud);
        const operations = resource.properties['AccountDefaultForOperations'];
        if (JSON.stringify(operations) !== '["CreateCertificateFromCsr"]') {
          throw new Error(`${resource.logicalId}: AccountDefaultForOperations must be ["CreateCertificateFromCsr"]`);
        }
        // AWS writes this ARN with a colon.
        const arn = cloud.arn('iot', `certificateprovider:${name}`);
        targets().provisioning.setProvider({ name, arn, functionArn: string(resource, 'LambdaFunctionArn') });
        return { ref: name, attributes: { Arn: arn } };
      },
    },
    {
      type: 'AWS::IoT::TopicRule',
      honoured: ['RuleName', 'TopicRulePayload'],
      leftOut: TAGS,
      create(resource, cloud) {
        // Rule names take no hyphen.
        const name = nameOf(resource, 'RuleName', cloud).replaceAll('-', '_');
        const arn = cloud.arn('iot', `rule/${name}`);
        targets().rules.add(readRule(name, arn, resource.properties['TopicRulePayload']));
        return { ref: name, attributes: { Arn: arn } };
      },
    },
    {
      type: 'AWS::IoT::Logging',
      honoured: ['AccountId'],
      leftOut: {
        RoleArn: 'the local cloud writes its own log',
        DefaultLogLevel: 'the local cloud writes its own log',
        EventConfigurations: 'the local cloud writes its own log',
      },
      create: (resource) => ({ ref: string(resource, 'AccountId') }),
    },
  ];
}

function createTemplate(provisioning: Provisioning, resource: ResourceRequest, cloud: Cloud): CreatedResource {
  const name = nameOf(resource, 'TemplateName', cloud);
  const type = resource.properties['TemplateType'] ?? 'FLEET_PROVISIONING';
  if (type !== 'FLEET_PROVISIONING')
    throw new Error(`Provisioning template ${name}: TemplateType ${JSON.stringify(type)} is not emulated`);
  const arn = cloud.arn('iot', `provisioningtemplate/${name}`);
  let body: ReturnType<typeof readTemplate>;
  try {
    body = readTemplate(string(resource, 'TemplateBody'));
  } catch (error) {
    throw new Error(`Provisioning template ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
  provisioning.addTemplate({
    name,
    arn,
    body,
    roleArn: string(resource, 'ProvisioningRoleArn'),
    enabled: resource.properties['Enabled'] === true || resource.properties['Enabled'] === 'true',
    hookArn: hookOf(name, resource.properties['PreProvisioningHook']),
  });
  return { ref: name, attributes: { TemplateArn: arn } };
}

function hookOf(template: string, hook: Json | undefined): string | undefined {
  if (hook === undefined) return undefined;
  const { TargetArn: target, PayloadVersion: version } =
    typeof hook === 'object' && hook !== null && !Array.isArray(hook) ? hook : {};
  if (version !== undefined && version !== '2020-04-01') {
    throw new Error(
      `Provisioning template ${template}: PayloadVersion ${JSON.stringify(version)} of the hook is not emulated`,
    );
  }
  if (typeof target !== 'string') throw new Error(`Provisioning template ${template}: the hook needs TargetArn`);
  return target;
}

function nameOf(resource: ResourceRequest, property: string, cloud: Cloud): string {
  const name = resource.properties[property];
  if (name === undefined) return cloud.physicalName(resource);
  return string(resource, property);
}

function string(resource: ResourceRequest, property: string): string {
  const value = resource.properties[property];
  if (typeof value !== 'string' || value === '') throw new Error(`${resource.logicalId}: ${property} must be a string`);
  return value;
}
