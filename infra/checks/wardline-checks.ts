import type { CfnResource } from 'aws-cdk-lib';
import { NagMessageLevel, NagPack, type NagRuleResult } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { iotPolicyThingVariable } from './iot-policy-thing-variable.ts';
import { iotPolicyWildcard } from './iot-policy-wildcard.ts';
import { scheduleDeadLetters } from './schedule-dead-letters.ts';
import { tableCustomerKey, tableDeletionProtection, tableRecovery } from './table.ts';
import { topicRuleErrorAction } from './topic-rule-error-action.ts';

/** One rule: what it is called, what it says, and why it exists. */
interface Rule {
  readonly id: string;
  readonly info: string;
  readonly explanation: string;
  readonly check: (resource: CfnResource) => NagRuleResult;
}

/** What cdk-nag's packs do not see. Acknowledged like theirs, with the prefix `Wardline-`. */
export const rules: readonly Rule[] = [
  {
    id: 'IoTPolicyWildcard',
    info: 'The AWS IoT policy allows a pattern instead of named actions and resources.',
    explanation: 'A device that may use a pattern can speak for other devices, or read what is meant for them.',
    check: iotPolicyWildcard,
  },
  {
    id: 'IoTPolicyThingVariable',
    info: 'A statement of the AWS IoT policy is not limited to the connecting thing.',
    explanation:
      'Every resource of a device policy names the connecting thing, so that one policy gives each device only its own.',
    check: iotPolicyThingVariable,
  },
  {
    id: 'TopicRuleErrorAction',
    info: 'The topic rule has no error action.',
    explanation: 'Without one a message whose action fails is lost and nobody knows.',
    check: topicRuleErrorAction,
  },
  {
    id: 'TableRecovery',
    info: 'The table, or one of its replicas, has no point-in-time recovery.',
    explanation: 'cdk-nag does not look at AWS::DynamoDB::GlobalTable.',
    check: tableRecovery,
  },
  {
    id: 'TableDeletionProtection',
    info: 'The table, or one of its replicas, can be deleted.',
    explanation: 'cdk-nag does not look at AWS::DynamoDB::GlobalTable.',
    check: tableDeletionProtection,
  },
  {
    id: 'TableCustomerKey',
    info: 'The table, or one of its replicas, is not encrypted with a customer-managed key.',
    explanation: 'cdk-nag does not look at AWS::DynamoDB::GlobalTable.',
    check: tableCustomerKey,
  },
  {
    id: 'ScheduleDeadLetters',
    info: 'The schedule has no dead-letter queue.',
    explanation: 'A schedule whose target cannot be reached is dropped after its retries.',
    check: scheduleDeadLetters,
  },
];

/** Wardline's own pack of checks, run beside cdk-nag's at every synth. */
export class WardlineChecks extends NagPack {
  readonly name = 'Wardline';

  constructor(scope?: IConstruct) {
    super(scope);
    this.packName = 'Wardline';
  }

  protected override checkResource(node: CfnResource): void {
    for (const { id, info, explanation, check } of rules) {
      this.applyRule({ ruleSuffixOverride: id, info, explanation, level: NagMessageLevel.ERROR, node, rule: check });
    }
  }
}
