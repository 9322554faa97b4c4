import { App, type AppProps, type Environment, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, HIPAASecurityChecks, ServerlessChecks } from 'cdk-nag';
import { WardlineChecks } from './checks/wardline-checks.ts';
import { asVpc } from './constructs/exact-types.ts';
import type { FunctionDefaults } from './constructs/wardline-function.ts';
import type { Settings } from './settings.ts';
import { AuditStack } from './stacks/audit.ts';
import { DataStack } from './stacks/data.ts';
import { DevicesStack } from './stacks/devices.ts';
import { ManagementStack } from './stacks/management.ts';
import { NetworkStack } from './stacks/network.ts';
import { OperationsStack } from './stacks/operations.ts';
import { RolloutsStack } from './stacks/rollouts.ts';

/** Behaviour of CDK that we rely on, set here so that every way of starting a synth has the same. */
export const cdkBehaviour: Readonly<Record<string, boolean>> = {
  '@aws-cdk/core:enablePartitionLiterals': false,
  '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
  '@aws-cdk/aws-apigateway:disableCloudWatchRole': true,
  '@aws-cdk/aws-iam:minimizePolicies': true,
  '@aws-cdk/aws-ec2:restrictDefaultSecurityGroup': false,
  '@aws-cdk/aws-lambda:createNewPoliciesWithAddToRolePolicy': false,
  '@aws-cdk/aws-kms:aliasNameRef': true,
  '@aws-cdk/aws-lambda:recognizeLayerVersion': true,
};

/** The stacks of one deployment. */
export interface Wardline {
  readonly app: App;
  readonly data: DataStack;
  readonly rollouts: RolloutsStack;
  readonly devices: DevicesStack;
  readonly management: ManagementStack;
  readonly audit: AuditStack;
  readonly operations: OperationsStack;
  /** Only in the VPC profile. */
  readonly network: NetworkStack | undefined;
}

/**
 * Defines all stacks.
 *
 * @param bundles the folder with one bundle for each function
 */
export function defineWardline(app: App, settings: Settings, bundles: string): Wardline {
  const env: Environment = {
    ...(settings.account === undefined ? {} : { account: settings.account }),
    region: settings.region,
  };
  const data = new DataStack(app, 'WardlineData', {
    env,
    settings,
    terminationProtection: true,
    description: 'Wardline: tables, keys, audit',
  });
  const network =
    settings.vpc === undefined
      ? undefined
      : new NetworkStack(app, 'WardlineNetwork', {
          env,
          settings,
          key: data.operationsKey,
          description: 'Wardline: VPC profile',
        });
  const functions: FunctionDefaults = {
    prefix: settings.name,
    bundles,
    logs: { key: data.operationsKey, days: settings.retention.logDays },
    ...(network === undefined ? {} : { network: { vpc: asVpc(network.vpc), securityGroup: network.functions } }),
  };
  const rollouts = new RolloutsStack(app, 'WardlineRollouts', {
    env,
    settings,
    data,
    functions,
    description: 'Wardline: what carries rollouts',
  });
  const devices = new DevicesStack(app, 'WardlineDevices', {
    env,
    settings,
    data,
    rolloutChanges: rollouts.changes,
    functions,
    description: 'Wardline: what devices talk to',
  });
  const management = new ManagementStack(app, 'WardlineManagement', {
    env,
    settings,
    data,
    wakeQueue: devices.wakeQueue,
    rollouts,
    functions,
    description: 'Wardline: what people talk to',
  });
  const audit = new AuditStack(app, 'WardlineAudit', {
    env,
    settings,
    data,
    functions,
    description: 'Wardline: audit archive',
  });
  const operations = new OperationsStack(app, 'WardlineOperations', {
    env,
    settings,
    data,
    devices,
    rollouts,
    management,
    audit,
    description: 'Wardline: dashboard and alarms',
  });
  Tags.of(app).add('application', settings.name);
  Validations.of(app).addPlugins(
    new AwsSolutionsChecks(app),
    new HIPAASecurityChecks(app),
    new ServerlessChecks(app),
    new WardlineChecks(app),
  );
  return { app, data, rollouts, devices, management, audit, operations, network };
}

/** A CDK app with the behaviour that the stacks rely on. */
export function newApp(props: AppProps = {}): App {
  return new App({ analyticsReporting: false, ...props, context: { ...cdkBehaviour, ...props.context } });
}
