import { Fn, Stack, type StackProps } from 'aws-cdk-lib';
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  type InterfaceVpcEndpoint,
  InterfaceVpcEndpointAwsService,
  InterfaceVpcEndpointService,
  IpAddresses,
  Peer,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import { AnyPrincipal, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { ARecord, PrivateHostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { InterfaceVpcEndpointTarget } from 'aws-cdk-lib/aws-route53-targets';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { asVpc } from '../constructs/exact-types.ts';
import { logGroup } from '../constructs/logs.ts';
import type { Settings } from '../settings.ts';

/** What the network is made from. */
export interface NetworkStackProps extends StackProps {
  readonly settings: Settings;
  /** Encrypts the flow logs. */
  readonly key: IKey;
}

/**
 * The VPC profile (setting `wardline:vpc`): subnets without a way to the internet, and endpoints to the AWS services
 * that functions call, which accept only callers of this account.
 */
export class NetworkStack extends Stack {
  readonly vpc: Vpc;
  /** The security group of functions: out to the endpoints, nothing in. */
  readonly functions: SecurityGroup;
  readonly #zones: number;

  constructor(scope: Construct, id: string, props: NetworkStackProps) {
    super(scope, id, props);
    const { name, retention, vpc } = props.settings;
    const profile = vpc ?? { cidr: '10.80.0.0/20', zones: 2 };
    this.#zones = profile.zones;
    this.vpc = new Vpc(this, 'Vpc', {
      vpcName: name,
      ipAddresses: IpAddresses.cidr(profile.cidr),
      maxAzs: profile.zones,
      natGateways: 0,
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [{ name: 'functions', subnetType: SubnetType.PRIVATE_ISOLATED }],
      flowLogs: {
        all: {
          destination: FlowLogDestination.toCloudWatchLogs(
            logGroup(this, 'FlowLog', `/aws/vpc/${name}`, { key: props.key, days: retention.logDays }),
          ),
        },
      },
    });
    this.functions = new SecurityGroup(this, 'Functions', {
      vpc: asVpc(this.vpc),
      description: 'Wardline functions',
      allowAllOutbound: false,
    });
    // The endpoints are in the VPC; S3 and DynamoDB are reached by their public addresses through gateway endpoints.
    this.functions.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'AWS services, through endpoints only');

    const ofThisAccount = new PolicyStatement({
      principals: [new AnyPrincipal()],
      actions: ['*'],
      resources: ['*'],
      conditions: { StringEquals: { 'aws:PrincipalAccount': this.account } },
    });
    for (const [endpoint, service] of [
      ['S3', GatewayVpcEndpointAwsService.S3],
      ['DynamoDB', GatewayVpcEndpointAwsService.DYNAMODB],
    ] as const) {
      this.vpc.addGatewayEndpoint(endpoint, { service }).addToPolicy(ofThisAccount);
    }
    const endpoints = new SecurityGroup(this, 'Endpoints', {
      vpc: asVpc(this.vpc),
      description: 'Endpoints of AWS services',
      allowAllOutbound: false,
    });
    endpoints.addIngressRule(this.functions, Port.tcp(443), 'Wardline functions');
    for (const [endpoint, service] of [
      ['IotData', InterfaceVpcEndpointAwsService.IOT_CORE],
      ['IotControl', new InterfaceVpcEndpointService(`com.amazonaws.${this.region}.iot.api`, 443)],
      ['Kms', InterfaceVpcEndpointAwsService.KMS],
      ['Sqs', InterfaceVpcEndpointAwsService.SQS],
      ['Sns', InterfaceVpcEndpointAwsService.SNS],
      ['StepFunctions', InterfaceVpcEndpointAwsService.STEP_FUNCTIONS],
      ['Scheduler', new InterfaceVpcEndpointAwsService('scheduler')],
      ['Logs', InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS],
      ['XRay', InterfaceVpcEndpointAwsService.XRAY],
    ] as const) {
      // The data endpoint of AWS IoT has neither private DNS nor an endpoint policy of its own.
      const withPolicy = endpoint !== 'IotData';
      const added = this.vpc.addInterfaceEndpoint(endpoint, {
        service,
        securityGroups: [endpoints],
        open: false,
        privateDnsEnabled: withPolicy,
      });
      if (withPolicy) added.addToPolicy(ofThisAccount);
      else this.#name(`data-ats.iot.${this.region}.${this.urlSuffix}`, added);
    }
    acknowledge(this.vpc, {
      'HIPAA.Security-VPCDefaultSecurityGroupClosed':
        'Nothing uses the default group, and emptying it takes a hidden function that runs at deployment.',
      'HIPAA.Security-IAMNoInlinePolicy': 'The role of the flow log, which is made with it and used by nothing else.',
    });
  }

  /** The first zones of the region, whichever they are: CDK would look them up in the account, which synth never does. */
  override get availabilityZones(): string[] {
    return Array.from({ length: this.#zones }, (_, zone) => Fn.select(zone, Fn.getAzs()));
  }

  /** Makes a name of AWS lead to an endpoint within the VPC. */
  #name(zoneName: string, endpoint: InterfaceVpcEndpoint): void {
    const zone = new PrivateHostedZone(this, 'IotDataZone', { vpc: asVpc(this.vpc), zoneName });
    new ARecord(this, 'IotDataRecord', {
      zone,
      target: RecordTarget.fromAlias(new InterfaceVpcEndpointTarget(endpoint)),
    });
  }
}
