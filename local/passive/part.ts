import type { Cloud, CreatedResource, Part, ResourceRequest, ResourceType } from '../cloud.ts';
import { optionalText } from '../template/read.ts';

const NOT_SHOWN = 'shown in the console of AWS only';

/**
 * Resources that watch, protect or keep what others do and that no function can notice. They exist by name, so that
 * others can refer to them; each property says why it has no effect.
 */
export function passivePart(): Part {
  return {
    name: 'passive',
    resources: [
      passive('AWS::CDK::Metadata', 'about the version of CDK', ['Analytics'], () => ({})),
      passive(
        'AWS::Logs::LogGroup',
        'what functions print goes to .wardline/logs',
        [
          'DataProtectionPolicy',
          'DeletionProtectionEnabled',
          'FieldIndexPolicies',
          'KmsKeyId',
          'LogGroupClass',
          'LogGroupName',
          'ResourcePolicyDocument',
          'RetentionInDays',
          'Tags',
        ],
        (name, cloud) => ({ Arn: `${cloud.arn('logs', `log-group:${name}`)}:*` }),
        'LogGroupName',
      ),
      passive(
        'AWS::Logs::MetricFilter',
        'there are no metrics locally',
        ['ApplyOnTransformedLogs', 'FilterName', 'FilterPattern', 'LogGroupName', 'MetricTransformations'],
        () => ({}),
      ),
      passive(
        'AWS::Logs::QueryDefinition',
        'there is no Logs Insights locally',
        ['LogGroupNames', 'Name', 'QueryLanguage', 'QueryString'],
        (name) => ({ QueryDefinitionId: name }),
      ),
      passive(
        'AWS::Logs::ResourcePolicy',
        'there are no log groups locally',
        ['PolicyDocument', 'PolicyName', 'PolicyType', 'ResourceArn'],
        () => ({}),
        'PolicyName',
      ),
      passive(
        'AWS::CloudWatch::Alarm',
        'there are no metrics locally, so no alarm goes off',
        [
          'ActionsEnabled',
          'AlarmActions',
          'AlarmDescription',
          'AlarmName',
          'ComparisonOperator',
          'DatapointsToAlarm',
          'Dimensions',
          'EvaluateLowSampleCountPercentile',
          'EvaluationPeriods',
          'ExtendedStatistic',
          'InsufficientDataActions',
          'MetricName',
          'Metrics',
          'Namespace',
          'OKActions',
          'Period',
          'Statistic',
          'Tags',
          'Threshold',
          'ThresholdMetricId',
          'TreatMissingData',
          'Unit',
        ],
        (name, cloud) => ({ Arn: cloud.arn('cloudwatch', `alarm:${name}`) }),
        'AlarmName',
      ),
      passive(
        'AWS::CloudWatch::CompositeAlarm',
        'there are no metrics locally, so no alarm goes off',
        [
          'ActionsEnabled',
          'ActionsSuppressor',
          'ActionsSuppressorExtensionPeriod',
          'ActionsSuppressorWaitPeriod',
          'AlarmActions',
          'AlarmDescription',
          'AlarmName',
          'AlarmRule',
          'InsufficientDataActions',
          'OKActions',
          'Tags',
        ],
        (name, cloud) => ({ Arn: cloud.arn('cloudwatch', `alarm:${name}`) }),
        'AlarmName',
      ),
      passive(
        'AWS::CloudWatch::Dashboard',
        'there are no metrics locally',
        ['DashboardBody', 'DashboardName', 'Tags'],
        () => ({}),
        'DashboardName',
      ),
      passive(
        'AWS::WAFv2::WebACL',
        'there is no web application firewall in front of loopback',
        [
          'AssociationConfig',
          'CaptchaConfig',
          'ChallengeConfig',
          'CustomResponseBodies',
          'DefaultAction',
          'Description',
          'Name',
          'Rules',
          'Scope',
          'Tags',
          'TokenDomains',
          'VisibilityConfig',
        ],
        (name, cloud) => ({ Arn: cloud.arn('wafv2', `regional/webacl/${name}/local`), Id: 'local' }),
        'Name',
      ),
      passive(
        'AWS::WAFv2::WebACLAssociation',
        'there is no web application firewall in front of loopback',
        ['ResourceArn', 'WebACLArn'],
        () => ({}),
      ),
      passive(
        'AWS::WAFv2::LoggingConfiguration',
        'there is no web application firewall in front of loopback',
        ['LogDestinationConfigs', 'LoggingFilter', 'RedactedFields', 'ResourceArn'],
        () => ({}),
      ),
      passive(
        'AWS::Backup::BackupVault',
        'there are no backups locally; the data is in --data DIR',
        [
          'AccessPolicy',
          'BackupVaultName',
          'BackupVaultTags',
          'EncryptionKeyArn',
          'LockConfiguration',
          'Notifications',
        ],
        (name, cloud) => ({ BackupVaultArn: cloud.arn('backup', `backup-vault:${name}`), BackupVaultName: name }),
        'BackupVaultName',
      ),
      passive(
        'AWS::Backup::BackupPlan',
        'there are no backups locally; the data is in --data DIR',
        ['BackupPlan', 'BackupPlanTags'],
        (name, cloud) => ({
          BackupPlanArn: cloud.arn('backup', `backup-plan:${name}`),
          BackupPlanId: name,
          VersionId: '1',
        }),
      ),
      passive(
        'AWS::Backup::BackupSelection',
        'there are no backups locally; the data is in --data DIR',
        ['BackupPlanId', 'BackupSelection'],
        (name) => ({
          SelectionId: name,
        }),
      ),
      passive(
        'AWS::XRay::Group',
        'there is no X-Ray locally',
        ['FilterExpression', 'GroupName', 'InsightsConfiguration', 'Tags'],
        () => ({}),
      ),
      passive('AWS::XRay::SamplingRule', 'there is no X-Ray locally', ['SamplingRule', 'Tags'], () => ({})),
    ],
  };
}

/** A resource type of which every property is left out. `nameProperty` gives its physical name. */
function passive(
  type: string,
  reason: string,
  properties: readonly string[],
  attributes: (name: string, cloud: Cloud) => Readonly<Record<string, string>>,
  nameProperty?: string,
): ResourceType {
  return {
    type,
    honoured: [],
    leftOut: Object.fromEntries(properties.map((property) => [property, property === 'Tags' ? NOT_SHOWN : reason])),
    create: (resource: ResourceRequest, cloud: Cloud): CreatedResource => {
      const own = nameProperty === undefined ? undefined : optionalText(resource.properties[nameProperty]);
      const name = own ?? cloud.physicalName(resource);
      return { ref: name, attributes: attributes(name, cloud) };
    },
  };
}
