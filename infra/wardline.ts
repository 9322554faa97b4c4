import { readFileSync } from 'node:fs';
import { Annotations, App, type AppProps, type Environment, type Stack, Tags, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, HIPAASecurityChecks, ServerlessChecks } from 'cdk-nag';
import { WardlineChecks } from './checks/wardline-checks.ts';
import { asVpc } from './constructs/exact-types.ts';
import type { FunctionDefaults, WardlineFunction } from './constructs/wardline-function.ts';
import type { Settings } from './settings.ts';
import { AuditStack } from './stacks/audit.ts';
import { DataStack } from './stacks/data.ts';
import { DevicesStack } from './stacks/devices.ts';
import { ManagementStack } from './stacks/management.ts';
import { NetworkStack } from './stacks/network.ts';
import { OperationsStack } from './stacks/operations.ts';
import { RolloutsStack } from './stacks/rollouts.ts';

/**
 * Behaviour of CDK that is chosen by feature flags, set here so that every way of starting a synth has the same:
 * `cdk-flags.json` is what AWS recommends to a new project, written out so that another version of the library changes no
 * template by itself. Where we differ:
 */
export const cdkBehaviour: Readonly<Record<string, unknown>> = {
  ...(JSON.parse(readFileSync(new URL('./cdk-flags.json', import.meta.url), 'utf8')) as Record<string, unknown>),
  // Templates name no partition, so that they are the same in all of them.
  '@aws-cdk/core:enablePartitionLiterals': false,
  // Nothing uses the default group of the VPC, and emptying it takes a hidden function (stacks/network.ts).
  '@aws-cdk/aws-ec2:restrictDefaultSecurityGroup': false,
  // A stack cannot be taken away, nor its output changed, while another one uses it.
  '@aws-cdk/core:defaultCrossStackReferences': 'strong',
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
    reserveConcurrency: settings.reserveConcurrency,
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
  sayWhatIsReserved(
    devices,
    [rollouts, devices, management, audit].flatMap((stack) => stack.functions),
  );
  Tags.of(app).add('application', settings.name);
  Validations.of(app).addPlugins(
    new AwsSolutionsChecks(app),
    new HIPAASecurityChecks(app),
    new ServerlessChecks(app),
    new WardlineChecks(app),
  );
  return { app, data, rollouts, devices, management, audit, operations, network };
}

/** Lambda keeps this many of the account's concurrent executions for functions without a reservation. */
const unreserved = 100;

/** The quota of a new account may be 10, and Lambda says so only in the middle of a deployment. */
function sayWhatIsReserved(scope: Stack, functions: readonly WardlineFunction[]): void {
  const reserved = functions.reduce((sum, one) => sum + one.reserved, 0);
  if (reserved === 0) return;
  Annotations.of(scope).addInfoV2(
    'wardline:reserved-concurrency',
    `Functions reserve ${reserved} concurrent executions: Lambda refuses that in an account whose quota L-B99A9384 is below ` +
      `${reserved + unreserved}. Ask for more, or set wardline:reserveConcurrency=false (docs/operations.md#deploy).`,
  );
}

/** A CDK app with the behaviour that the stacks rely on. */
export function newApp(props: AppProps = {}): App {
  return new App({ analyticsReporting: false, ...props, context: { ...cdkBehaviour, ...props.context } });
}
