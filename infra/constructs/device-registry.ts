import { Stack } from 'aws-cdk-lib';
import { CfnCertificateProvider, CfnPolicy, CfnProvisioningTemplate, CfnThingType } from 'aws-cdk-lib/aws-iot';
import { Construct } from 'constructs';
import { textOf } from '../checks/resolved.ts';
import { acknowledge } from './acknowledge.ts';
import { allow } from './allow.ts';
import { serviceRole } from './device-messages.ts';
import type { WardlineFunction } from './wardline-function.ts';

/** What devices are in AWS IoT Core. */
export interface DeviceRegistryProps {
  /** Prefix of the names of policies, thing type and template. */
  readonly prefix: string;
  /** Issues a certificate for a request that comes over MQTT. */
  readonly certificates: WardlineFunction;
  /** Decides whether a device may be provisioned. */
  readonly provisioningHook: WardlineFunction;
}

/** Thing type, the policy of a device, and fleet provisioning by claim. */
export class DeviceRegistry extends Construct {
  constructor(scope: Construct, id: string, props: DeviceRegistryProps) {
    super(scope, id);
    const { prefix } = props;
    const { partition, region, account } = Stack.of(this);
    const arn = (resource: string) => `arn:${partition}:iot:${region}:${account}:${resource}`;
    const names = deviceNames(prefix);

    const thingType = new CfnThingType(this, 'ThingType', {
      thingTypeName: names.thingType,
      thingTypeProperties: { thingTypeDescription: 'A device managed by Wardline' },
    });

    // The variable is the name of the thing that the connecting certificate is attached to, and only when the client id
    // is that name: a device can connect, publish and subscribe as nobody but itself.
    const thing = policyVariable('iot:Connection.Thing.ThingName');
    const replies = ['checkin/accepted', 'checkin/rejected', 'wake'];
    const devicePolicy = new CfnPolicy(this, 'DevicePolicy', {
      policyName: names.devicePolicy,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Action: 'iot:Connect',
            Resource: arn(`client/${thing}`),
            Condition: { Bool: { 'iot:Connection.Thing.IsAttached': 'true' } },
          },
          {
            Effect: 'Allow',
            Action: 'iot:Publish',
            Resource: [
              arn(`topic/wardline/${thing}/checkin`),
              arn(`topic/$aws/rules/wardline_checkin/wardline/${thing}/checkin`),
            ],
          },
          {
            Effect: 'Allow',
            Action: 'iot:Subscribe',
            Resource: replies.map((reply) => arn(`topicfilter/wardline/${thing}/${reply}`)),
          },
          {
            Effect: 'Allow',
            Action: 'iot:Receive',
            Resource: replies.map((reply) => arn(`topic/wardline/${thing}/${reply}`)),
          },
        ],
      },
    });

    // A claim certificate is shared by many devices that have no identity yet. Its client ids begin with `claim-`, so
    // that whoever holds it cannot take the connection of an enrolled device.
    const provision = `$aws/provisioning-templates/${names.provisioningTemplate}/provision/json`;
    const createFromCsr = '$aws/certificates/create-from-csr/json';
    const answers = [createFromCsr, provision].flatMap((topic) => [`${topic}/accepted`, `${topic}/rejected`]);
    const claimClients = arn('client/claim-*');
    const claimPolicy = new CfnPolicy(this, 'ClaimPolicy', {
      policyName: names.claimPolicy,
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Action: 'iot:Connect', Resource: claimClients },
          {
            Effect: 'Allow',
            Action: 'iot:Publish',
            Resource: [createFromCsr, provision].map((topic) => arn(`topic/${topic}`)),
          },
          { Effect: 'Allow', Action: 'iot:Subscribe', Resource: answers.map((topic) => arn(`topicfilter/${topic}`)) },
          { Effect: 'Allow', Action: 'iot:Receive', Resource: answers.map((topic) => arn(`topic/${topic}`)) },
        ],
      },
    });

    acknowledge(claimPolicy, {
      'Wardline-IoTPolicyThingVariable':
        'A device that is being provisioned has no thing yet; the hook decides about it.',
      [`Wardline-IoTPolicyWildcard[Resource::${textOf(Stack.of(this).resolve(claimClients))}]`]:
        'Each device that is being provisioned connects under a name of its own; no enrolled device has such a name.',
    });

    const provider = new CfnCertificateProvider(this, 'CertificateProvider', {
      certificateProviderName: names.certificateProvider,
      lambdaFunctionArn: props.certificates.arn,
      accountDefaultForOperations: ['CreateCertificateFromCsr'],
    });
    // By name, so that the permission is there before AWS IoT looks whether it may call the function.
    provider.node.addDependency(
      props.certificates.permit(
        'CertificateProvider',
        'iot.amazonaws.com',
        arn(`certificateprovider:${names.certificateProvider}`),
      ),
    );

    // AWS does not say which of these RegisterThing calls for a template; together they are the part of its policy
    // AWSIoTThingsRegistration that concerns things, certificates and policies, each on no more than it must reach.
    const role = serviceRole(
      this,
      'ProvisioningRole',
      'Fleet provisioning: creates the thing, activates its certificate, attaches both and the device policy',
      [
        allow(
          [
            'iot:CreateThing',
            'iot:DescribeThing',
            'iot:UpdateThing',
            'iot:ListThingGroupsForThing',
            'iot:ListThingPrincipals',
            'iot:AttachThingPrincipal',
          ],
          [arn('thing/d-*')],
        ),
        allow(['iot:DescribeThingType'], [arn(`thingtype/${names.thingType}`)]),
        allow(
          [
            'iot:DescribeCertificate',
            'iot:UpdateCertificate',
            'iot:AttachThingPrincipal',
            'iot:AttachPolicy',
            'iot:AttachPrincipalPolicy',
            'iot:ListPrincipalThings',
          ],
          [arn('cert/*')],
        ),
        allow(['iot:GetPolicy', 'iot:ListTargetsForPolicy'], [arn(`policy/${names.devicePolicy}`)]),
        // IAM knows no resources for these.
        allow(['iot:ListAttachedPolicies', 'iot:ListPolicyPrincipals', 'iot:ListPrincipalPolicies'], ['*']),
      ],
      {
        [arn('thing/d-*')]: 'Things of devices, which are made here.',
        [arn('cert/*')]: 'The id of a certificate is known only once it is issued.',
        '*': 'What is attached to what can be listed only without naming it.',
      },
    );
    const template = new CfnProvisioningTemplate(this, 'ProvisioningTemplate', {
      templateName: names.provisioningTemplate,
      templateType: 'FLEET_PROVISIONING',
      description: 'Provisioning by claim: the hook decides, and names the thing',
      enabled: true,
      provisioningRoleArn: role.roleArn,
      preProvisioningHook: { payloadVersion: '2020-04-01', targetArn: props.provisioningHook.arn },
      templateBody: JSON.stringify({
        Parameters: {
          SerialNumber: { Type: 'String' },
          // Set by the hook, whatever the device sent.
          DeviceId: { Type: 'String' },
          'AWS::IoT::Certificate::Id': { Type: 'String' },
        },
        Resources: {
          thing: {
            Type: 'AWS::IoT::Thing',
            Properties: { ThingName: { Ref: 'DeviceId' }, ThingTypeName: names.thingType },
            OverrideSettings: { ThingTypeName: 'REPLACE' },
          },
          certificate: {
            Type: 'AWS::IoT::Certificate',
            // Templates know no exclusive attachment; the device policy asks for a client id that is the thing's name.
            Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' },
          },
          policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: names.devicePolicy } },
        },
      }),
    });
    const mayCallHook = props.provisioningHook.permit(
      'ProvisioningTemplate',
      'iot.amazonaws.com',
      arn(`provisioningtemplate/${names.provisioningTemplate}`),
    );
    template.node.addDependency(thingType, devicePolicy, mayCallHook);
  }
}

/** A variable of an AWS IoT policy, filled in by the broker for each connection. */
function policyVariable(name: string): string {
  return `\${${name}}`;
}

/** The names that devices and operators use for what is in AWS IoT Core. */
export function deviceNames(prefix: string) {
  return {
    thingType: `${prefix}-device`,
    devicePolicy: `${prefix}-device`,
    claimPolicy: `${prefix}-claim`,
    provisioningTemplate: `${prefix}-claim`,
    certificateProvider: `${prefix}-device-authority`,
  } as const;
}
