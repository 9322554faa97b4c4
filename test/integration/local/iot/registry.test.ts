import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateKeysAndCertificateCommand,
  CreateThingCommand,
  DeleteCertificateCommand,
  DeleteThingCommand,
  DescribeCertificateCommand,
  DescribeThingCommand,
  DetachThingPrincipalCommand,
  IoTClient,
  ListAttachedPoliciesCommand,
  ListThingPrincipalsCommand,
  RegisterCertificateWithoutCACommand,
  UpdateCertificateCommand,
  UpdateThingCommand,
} from '@aws-sdk/client-iot';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Endpoint, serveEndpoint } from './endpoint.ts';
import { DEVICE_POLICY, type Harness, makeIdentity, startIot } from './harness.ts';

const cert = (id: string) => `arn:aws:iot:us-east-1:000000000000:cert/${id}`;

describe('Control plane, asked by the AWS SDK', () => {
  let iot: Harness;
  let endpoint: Endpoint;
  let sdk: IoTClient;

  beforeAll(async () => {
    iot = await startIot();
    endpoint = await serveEndpoint(iot.iot);
    sdk = new IoTClient(endpoint.client);
    await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
    await iot.resource('AWS::IoT::ThingType', 'Type', { ThingTypeName: 'device' });
  });
  afterAll(async () => {
    sdk.destroy();
    await endpoint.stop();
    await iot.stop();
  });

  test('the life of a thing and its certificate', async () => {
    const { certificatePem, id } = await makeIdentity('CN=d-life');
    const registered = await sdk.send(new RegisterCertificateWithoutCACommand({ certificatePem, status: 'ACTIVE' }));
    expect(registered).toMatchObject({ certificateId: id, certificateArn: cert(id) });
    const thing = { thingName: 'd-life', thingTypeName: 'device', attributePayload: { attributes: { site: 's-1' } } };
    const created = await sdk.send(new CreateThingCommand(thing));
    expect(created.thingArn).toBe('arn:aws:iot:us-east-1:000000000000:thing/d-life');
    expect((await sdk.send(new CreateThingCommand(thing))).thingId).toBe(created.thingId);
    await expect(sdk.send(new CreateThingCommand({ thingName: 'd-life' }))).rejects.toMatchObject({
      name: 'ResourceAlreadyExistsException',
      resourceArn: created.thingArn,
    });
    await expect(sdk.send(new RegisterCertificateWithoutCACommand({ certificatePem }))).rejects.toMatchObject({
      name: 'ResourceAlreadyExistsException',
      resourceId: id,
      resourceArn: cert(id),
    });

    const attach = { thingName: 'd-life', principal: cert(id), thingPrincipalType: 'EXCLUSIVE_THING' } as const;
    await sdk.send(new AttachThingPrincipalCommand(attach));
    await sdk.send(new AttachThingPrincipalCommand(attach));
    await sdk.send(new AttachPolicyCommand({ policyName: 'device', target: cert(id) }));
    expect((await sdk.send(new ListThingPrincipalsCommand({ thingName: 'd-life' }))).principals).toEqual([cert(id)]);
    expect((await sdk.send(new ListAttachedPoliciesCommand({ target: cert(id) }))).policies).toEqual([
      { policyName: 'device', policyArn: 'arn:aws:iot:us-east-1:000000000000:policy/device' },
    ]);
    const { certificateDescription } = await sdk.send(new DescribeCertificateCommand({ certificateId: id }));
    expect(certificateDescription).toMatchObject({
      status: 'ACTIVE',
      certificateMode: 'SNI_ONLY',
      certificatePem: expect.stringContaining('BEGIN'),
    });
    expect(certificateDescription?.validity?.notAfter).toBeInstanceOf(Date);

    await sdk.send(
      new UpdateThingCommand({ thingName: 'd-life', attributePayload: { attributes: { unit: 'icu' }, merge: true } }),
    );
    expect(await sdk.send(new DescribeThingCommand({ thingName: 'd-life' }))).toMatchObject({
      attributes: { site: 's-1', unit: 'icu' },
      version: 2,
      thingTypeName: 'device',
    });

    await expect(sdk.send(new DeleteThingCommand({ thingName: 'd-life' }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
    await expect(sdk.send(new DeleteCertificateCommand({ certificateId: id }))).rejects.toMatchObject({
      name: 'CertificateStateException',
    });
    await sdk.send(new UpdateCertificateCommand({ certificateId: id, newStatus: 'INACTIVE' }));
    await expect(sdk.send(new DeleteCertificateCommand({ certificateId: id }))).rejects.toMatchObject({
      name: 'DeleteConflictException',
    });
    await sdk.send(new DetachThingPrincipalCommand({ thingName: 'd-life', principal: cert(id) }));
    await expect(sdk.send(new DeleteCertificateCommand({ certificateId: id }))).rejects.toMatchObject({
      name: 'DeleteConflictException',
    });
    await sdk.send(new DeleteCertificateCommand({ certificateId: id, forceDelete: true }));
    await sdk.send(new DeleteThingCommand({ thingName: 'd-life' }));
    await expect(sdk.send(new DescribeThingCommand({ thingName: 'd-life' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await expect(sdk.send(new DescribeCertificateCommand({ certificateId: id }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });

  test('an exclusive certificate has one thing', async () => {
    const { id } = await iot.device({ thing: 'd-one' });
    await sdk.send(new CreateThingCommand({ thingName: 'd-two' }));
    for (const thingPrincipalType of ['EXCLUSIVE_THING', 'NON_EXCLUSIVE_THING'] as const) {
      await expect(
        sdk.send(new AttachThingPrincipalCommand({ thingName: 'd-two', principal: cert(id), thingPrincipalType })),
      ).rejects.toMatchObject({ name: 'InvalidRequestException' });
    }
    await sdk.send(new DetachThingPrincipalCommand({ thingName: 'd-one', principal: cert(id) }));
    await sdk.send(new AttachThingPrincipalCommand({ thingName: 'd-one', principal: cert(id) }));
    await expect(
      sdk.send(
        new AttachThingPrincipalCommand({
          thingName: 'd-two',
          principal: cert(id),
          thingPrincipalType: 'EXCLUSIVE_THING',
        }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidRequestException' });
    await sdk.send(new AttachThingPrincipalCommand({ thingName: 'd-two', principal: cert(id) }));
  });

  test('what does not exist or makes no sense is refused', async () => {
    const { id } = await iot.device();
    const refused = async (command: Promise<unknown>, name: string) => expect(command).rejects.toMatchObject({ name });
    await refused(
      sdk.send(new AttachPolicyCommand({ policyName: 'nobody', target: cert(id) })),
      'ResourceNotFoundException',
    );
    await refused(
      sdk.send(new AttachPolicyCommand({ policyName: 'device', target: cert('0'.repeat(64)) })),
      'ResourceNotFoundException',
    );
    await refused(
      sdk.send(new AttachPolicyCommand({ policyName: 'device', target: 'arn:aws:iot:us-east-1:1:thinggroup/x' })),
      'InvalidRequestException',
    );
    await refused(
      sdk.send(new AttachThingPrincipalCommand({ thingName: 'd-none', principal: cert(id) })),
      'ResourceNotFoundException',
    );
    await refused(sdk.send(new CreateThingCommand({ thingName: 'd none' })), 'InvalidRequestException');
    await refused(
      sdk.send(new CreateThingCommand({ thingName: 'd-x', thingTypeName: 'unknown' })),
      'ResourceNotFoundException',
    );
    await refused(
      sdk.send(new CreateThingCommand({ thingName: 'd-x', billingGroupName: 'x' })),
      'InvalidRequestException',
    );
    await refused(
      sdk.send(new RegisterCertificateWithoutCACommand({ certificatePem: 'no certificate' })),
      'CertificateValidationException',
    );
    await refused(
      sdk.send(new UpdateCertificateCommand({ certificateId: id, newStatus: 'PENDING_TRANSFER' })),
      'InvalidRequestException',
    );
  });

  test('a certificate made here connects with its key', async () => {
    const made = await sdk.send(new CreateKeysAndCertificateCommand({ setAsActive: true }));
    await iot.resource('AWS::IoT::Policy', 'Any', {
      PolicyName: 'any',
      PolicyDocument: JSON.stringify({
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
      }),
    });
    await sdk.send(new AttachPolicyCommand({ policyName: 'any', target: made.certificateArn ?? '' }));
    await iot.connect(
      {
        certificatePem: made.certificatePem ?? '',
        privateKeyPem: made.keyPair?.PrivateKey ?? '',
        id: made.certificateId ?? '',
      },
      { clientId: 'operator' },
    );
  });

  test('each call asks for the ARN that it touches', () => {
    const id = 'a'.repeat(64);
    const needs = (...call: Parameters<Harness['permissions']>) => iot.permissions(...call);
    expect(needs('control', 'PUT', `/certificates/${id}?newStatus=REVOKED`)).toEqual([
      { action: 'iot:UpdateCertificate', resource: cert(id) },
    ]);
    expect(needs('control', 'POST', '/certificate/register-no-ca', { body: { certificatePem: '' } })).toEqual([
      { action: 'iot:RegisterCertificateWithoutCA', resource: '*' },
    ]);
    expect(needs('control', 'PUT', '/things/d-1/principals', { headers: { 'x-amzn-principal': cert(id) } })).toEqual([
      { action: 'iot:AttachThingPrincipal', resource: 'arn:aws:iot:us-east-1:000000000000:thing/d-1' },
      { action: 'iot:AttachThingPrincipal', resource: cert(id) },
    ]);
    expect(needs('data', 'POST', '/topics/wardline%2Fd-1%2Fwake?qos=1&retain=true')).toEqual([
      { action: 'iot:Publish', resource: 'arn:aws:iot:us-east-1:000000000000:topic/wardline/d-1/wake' },
      { action: 'iot:RetainPublish', resource: 'arn:aws:iot:us-east-1:000000000000:topic/wardline/d-1/wake' },
    ]);
    expect(needs('data', 'POST', '/connections/d-1/messages?topic=wardline%2Fd-1%2Fwake')).toEqual([
      {
        action: 'iot:SendDirectMessage',
        resource: 'arn:aws:iot:us-east-1:000000000000:client/d-1',
        context: { 'iot:topic': 'wardline/d-1/wake' },
      },
    ]);
    expect(() => needs('control', 'GET', '/jobs')).toThrow('not emulated');
  });
});
