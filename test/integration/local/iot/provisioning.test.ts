import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { iot as awsIot, iotidentity, mqtt } from 'aws-iot-device-sdk-v2';
import type { Json } from '../../../../local/cloud.ts';
import {
  DEVICE_POLICY,
  type Harness,
  type Identity,
  makeIdentity,
  makeRequest,
  received,
  startIot,
} from './harness.ts';

const TEMPLATE = 'claim';
const HOOK = 'arn:aws:lambda:us-east-1:000000000000:function:hook';
const PROVIDER = 'arn:aws:lambda:us-east-1:000000000000:function:provider';
const ROLE = 'arn:aws:iam::000000000000:role/provisioning';
const CREATE = '$aws/certificates/create-from-csr/json';
const PROVISION = `$aws/provisioning-templates/${TEMPLATE}/provision/json`;

const CLAIM_POLICY: Json = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: 'arn:aws:iot:us-east-1:000000000000:client/claim-*' },
    {
      Effect: 'Allow',
      Action: ['iot:Publish', 'iot:Receive'],
      Resource: ['$aws/certificates/create-from-csr/*', `$aws/provisioning-templates/${TEMPLATE}/provision/*`].map(
        (topic) => `arn:aws:iot:us-east-1:000000000000:topic/${topic}`,
      ),
    },
    { Effect: 'Allow', Action: 'iot:Subscribe', Resource: 'arn:aws:iot:us-east-1:000000000000:topicfilter/$aws/*' },
  ],
};

const BODY = {
  Parameters: {
    SerialNumber: { Type: 'String' },
    DeviceId: { Type: 'String' },
    Site: { Type: 'String', Default: 'unknown' },
    'AWS::IoT::Certificate::Id': { Type: 'String' },
  },
  Resources: {
    thing: {
      Type: 'AWS::IoT::Thing',
      Properties: {
        ThingName: { Ref: 'DeviceId' },
        AttributePayload: { site: { Ref: 'Site' }, label: { 'Fn::Join': ['-', ['sn', { Ref: 'SerialNumber' }]] } },
      },
      OverrideSettings: { AttributePayload: 'MERGE' },
    },
    certificate: {
      Type: 'AWS::IoT::Certificate',
      Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' },
    },
    policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: 'device' } },
  },
  DeviceConfiguration: { site: { Ref: 'Site' } },
};

describe('Fleet provisioning', () => {
  let iot: Harness;
  let claim: Identity;
  let hookInput: Json;

  beforeAll(async () => {
    iot = await startIot();
    await iot.resource('AWS::IoT::Policy', 'Device', { PolicyName: 'device', PolicyDocument: DEVICE_POLICY });
    await iot.resource('AWS::IoT::Policy', 'Claim', { PolicyName: 'claim', PolicyDocument: CLAIM_POLICY });
    await iot.resource('AWS::IoT::ProvisioningTemplate', 'Template', {
      TemplateName: TEMPLATE,
      TemplateBody: JSON.stringify(BODY),
      ProvisioningRoleArn: ROLE,
      Enabled: true,
      PreProvisioningHook: { PayloadVersion: '2020-04-01', TargetArn: HOOK },
    });
    claim = await iot.device({ policies: ['claim'] });
  });
  beforeEach(() => {
    iot.denied.clear();
    hookInput = null;
    iot.functions.set(HOOK, (payload) => {
      hookInput = payload;
      const { parameters } = payload as { parameters: { SerialNumber: string } };
      return { allowProvisioning: true, parameterOverrides: { DeviceId: `d-${parameters.SerialNumber}`, Site: 's-1' } };
    });
  });
  afterAll(() => iot.stop());

  /** Sends a request as the claim's holder and returns the answer's last topic level and body. */
  async function ask(
    topic: string,
    body: Json | string,
    identity = claim,
  ): Promise<{ outcome: string; body: Record<string, string> }> {
    const clientId = `claim-${Math.random()}`;
    const client = await iot.connect(identity, { clientId });
    const messages = received(client);
    await client.subscribeAsync([`${topic}/accepted`, `${topic}/rejected`], { qos: 1 });
    await client.publishAsync(topic, typeof body === 'string' ? body : JSON.stringify(body), { qos: 1 });
    await iot.eventually('an answer', () => messages.length === 1);
    await client.endAsync();
    const [message] = messages;
    return {
      outcome: message?.topic.split('/').at(-1) ?? '',
      body: JSON.parse(message?.payload ?? '{}') as Record<string, string>,
    };
  }

  async function newCertificate() {
    const { csrPem, privateKeyPem } = await makeRequest('2.5.4.5=1');
    const { outcome, body } = await ask(CREATE, { certificateSigningRequest: csrPem });
    expect(outcome).toBe('accepted');
    return {
      token: body['certificateOwnershipToken'] ?? '',
      identity: { certificatePem: body['certificatePem'] ?? '', id: body['certificateId'] ?? '', privateKeyPem },
    };
  }

  test('the unmodified AWS IoT Device SDK provisions and connects as the new device', async () => {
    const { csrPem, privateKeyPem } = await makeRequest('2.5.4.5=sdk');
    const open = async (certificatePem: string, keyPem: string, clientId: string) => {
      const connection = new mqtt.MqttClient().new_connection(
        awsIot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder(certificatePem, keyPem)
          .with_certificate_authority(iot.caPem)
          .with_endpoint('localhost')
          .with_port(iot.port)
          .with_client_id(clientId)
          .with_clean_session(true)
          .build(),
      );
      connection.on('error', () => undefined);
      await connection.connect();
      return connection;
    };
    const bootstrap = await open(claim.certificatePem, claim.privateKeyPem, 'claim-sdk');
    const identity = iotidentity.IotIdentityClientv2.newFromMqtt311(bootstrap, {
      maxRequestResponseSubscriptions: 2,
      maxStreamingSubscriptions: 2,
      operationTimeoutInSeconds: 5,
    });
    const created = await identity.createCertificateFromCsr({ certificateSigningRequest: csrPem });
    const registered = await identity.registerThing({
      templateName: TEMPLATE,
      certificateOwnershipToken: created.certificateOwnershipToken ?? '',
      parameters: { SerialNumber: 'sdk' },
    });
    expect(registered).toMatchObject({ thingName: 'd-sdk', deviceConfiguration: { site: 's-1' } });
    await expect(
      identity.registerThing({
        templateName: TEMPLATE,
        certificateOwnershipToken: created.certificateOwnershipToken ?? '',
      }),
    ).rejects.toThrow();
    identity.close();
    await bootstrap.disconnect();

    const device = await open(created.certificatePem ?? '', privateKeyPem, 'd-sdk');
    let reply = '';
    await device.subscribe('wardline/d-sdk/wake', mqtt.QoS.AtLeastOnce, (_topic, payload) => {
      reply = Buffer.from(payload).toString();
    });
    await iot.call('data', 'POST', '/connections/d-sdk/messages?topic=wardline%2Fd-sdk%2Fwake&confirmation=true', {
      body: { v: 1, n: 1 },
    });
    await iot.eventually('the wake-up', () => reply !== '');
    expect(reply).toBe('{"v":1,"n":1}');
    await device.publish('wardline/d-sdk/checkin', '{}', mqtt.QoS.AtLeastOnce);
    await device.disconnect();
  });

  test('the certificate is worth nothing before RegisterThing, and is attached to its thing after', async () => {
    const { token, identity } = await newCertificate();
    expect(iot.iot.registry.certificate(identity.id)?.status).toBe('PENDING_ACTIVATION');
    await expect(iot.connect(identity, { clientId: 'd-1' })).rejects.toThrow();
    const { outcome, body } = await ask(PROVISION, {
      certificateOwnershipToken: token,
      parameters: { SerialNumber: '1' },
    });
    expect({ outcome, body }).toEqual({
      outcome: 'accepted',
      body: { deviceConfiguration: { site: 's-1' }, thingName: 'd-1' },
    });
    expect(hookInput).toMatchObject({
      claimCertificateId: claim.id,
      certificateId: identity.id,
      certificatePem: identity.certificatePem,
      templateArn: `arn:aws:iot:us-east-1:000000000000:provisioningtemplate/${TEMPLATE}`,
      clientId: expect.stringMatching(/^claim-/),
      parameters: { SerialNumber: '1' },
    });
    expect(iot.iot.registry.thing('d-1')?.attributes).toEqual({ site: 's-1', label: 'sn-1' });
    expect([...iot.iot.registry.thingsOf(identity.id)]).toEqual([['d-1', 'NON_EXCLUSIVE_THING']]);
    await iot.connect(identity, { clientId: 'd-1' });
    expect(iot.checks).toContain(
      `invoke by iot.amazonaws.com ${HOOK} for arn:aws:iot:us-east-1:000000000000:provisioningtemplate/${TEMPLATE}`,
    );
    expect(iot.checks).toContain('iot:CreateThing arn:aws:iot:us-east-1:000000000000:thing/d-1');
  });

  test('a token is good once, for an hour', async () => {
    const { token } = await newCertificate();
    const request = { certificateOwnershipToken: token, parameters: { SerialNumber: 'once' } };
    expect((await ask(PROVISION, request)).outcome).toBe('accepted');
    expect((await ask(PROVISION, request)).body).toMatchObject({
      statusCode: 400,
      errorCode: 'InvalidCertificateOwnershipToken',
    });
    const late = await newCertificate();
    iot.advance(60 * 60_000 + 1);
    expect((await ask(PROVISION, { ...request, certificateOwnershipToken: late.token })).body).toMatchObject({
      errorCode: 'InvalidCertificateOwnershipToken',
    });
    expect(iot.iot.registry.certificate(late.identity.id)).toBeUndefined();
  });

  test('the hook decides: no, an error and silence all mean no, and leave nothing behind', async () => {
    const { token, identity } = await newCertificate();
    const request = { certificateOwnershipToken: token, parameters: { SerialNumber: 'no' } };
    const denied = {
      outcome: 'rejected',
      body: { statusCode: 403, errorCode: 'AccessDenied', errorMessage: expect.any(String) },
    };
    iot.functions.set(HOOK, () => ({ allowProvisioning: false }));
    expect(await ask(PROVISION, request)).toEqual(denied);
    iot.functions.set(HOOK, () => ({ allowProvisioning: 'true' }));
    expect(await ask(PROVISION, request)).toEqual(denied);
    iot.functions.set(HOOK, () => {
      throw new Error('secret detail');
    });
    const failed = await ask(PROVISION, request);
    expect(failed).toEqual(denied);
    expect(JSON.stringify(failed)).not.toContain('secret detail');
    iot.denied.add('invoke by iot.amazonaws.com');
    expect(await ask(PROVISION, request)).toEqual(denied);
    iot.denied.clear();
    iot.functions.set(HOOK, () => ({ allowProvisioning: true }));
    // DeviceId has no default, and nobody gave it a value.
    expect((await ask(PROVISION, request)).body).toMatchObject({ statusCode: 400, errorCode: 'InvalidParameters' });
    iot.functions.set(HOOK, () => ({ allowProvisioning: true, parameterOverrides: { DeviceId: 'd-no' } }));
    iot.denied.add('iot:CreateThing');
    expect((await ask(PROVISION, request)).body).toMatchObject({ statusCode: 403 });
    expect(iot.iot.registry.thing('d-no')).toBeUndefined();
    expect(iot.iot.registry.certificate(identity.id)?.status).toBe('PENDING_ACTIVATION');
  });

  test('a hook that takes longer than 5 s is a no', async () => {
    const { token } = await newCertificate();
    iot.functions.set(HOOK, () => new Promise<Json>(() => undefined));
    const started = Date.now();
    const client = await iot.connect(claim, { clientId: 'claim-slow' });
    const messages = received(client);
    await client.subscribeAsync(`${PROVISION}/rejected`, { qos: 1 });
    await client.publishAsync(PROVISION, JSON.stringify({ certificateOwnershipToken: token, parameters: {} }), {
      qos: 1,
    });
    await new Promise<void>((resolve) => client.once('message', () => resolve()));
    expect(JSON.parse(messages[0]?.payload ?? '{}')).toMatchObject({ errorCode: 'AccessDenied' });
    expect(Date.now() - started).toBeGreaterThan(4900);
  });

  test('wrong requests are told what is wrong', async () => {
    expect((await ask(CREATE, 'no json')).body).toMatchObject({ statusCode: 400, errorCode: 'InvalidPayload' });
    expect((await ask(CREATE, {})).body).toMatchObject({ statusCode: 400, errorCode: 'InvalidCSR' });
    expect((await ask(CREATE, { certificateSigningRequest: 'nonsense' })).body).toMatchObject({
      errorCode: 'InvalidCSR',
    });
    expect((await ask(PROVISION, {})).body).toMatchObject({
      errorMessage: 'Certificate ownership token cannot be empty.',
    });
    const { token } = await newCertificate();
    for (const parameters of [{ SerialNumber: 1 }, { 'AWS::IoT::Certificate::Id': 'x' }, ['x']] as Json[]) {
      expect((await ask(PROVISION, { certificateOwnershipToken: token, parameters })).body).toMatchObject({
        errorCode: 'InvalidParameters',
      });
    }
  });

  test('the answer reaches only the client that asked', async () => {
    const other = await iot.connect(claim, { clientId: 'claim-other' });
    const overheard = received(other);
    await other.subscribeAsync([`${CREATE}/accepted`, `${CREATE}/+`, '$aws/#', CREATE], { qos: 1 });
    await newCertificate();
    await other.publishAsync(CREATE, '{}', { qos: 1 });
    await iot.eventually('its own rejection', () => overheard.length > 0);
    expect(overheard.map(({ topic }) => topic)).toEqual([`${CREATE}/rejected`]);
  });

  test('a claim of a trusted user provisions with its template and does nothing else', async () => {
    const made = (await iot.call('control', 'POST', `/provisioning-templates/${TEMPLATE}/provisioning-claim`)) as {
      certificateId: string;
      certificatePem: string;
      keyPair: { PrivateKey: string };
      expiration: number;
    };
    expect(made.expiration * 1000 - iot.now()).toBeGreaterThan(4 * 60_000);
    const identity = {
      id: made.certificateId,
      certificatePem: made.certificatePem,
      privateKeyPem: made.keyPair.PrivateKey,
    };
    const { csrPem } = await makeRequest('2.5.4.5=2');
    const { body } = await ask(CREATE, { certificateSigningRequest: csrPem }, identity);
    const answer = await ask(
      PROVISION,
      { certificateOwnershipToken: body['certificateOwnershipToken'] ?? '', parameters: { SerialNumber: '2' } },
      identity,
    );
    expect(answer.body['thingName']).toBe('d-2');
    const client = await iot.connect(identity, { clientId: 'claim-x' });
    await expect(client.subscribeAsync('wardline/#')).rejects.toThrow();
    iot.advance(5 * 60_000);
    await expect(iot.connect(identity, { clientId: 'claim-late' })).rejects.toThrow();
    await expect(iot.call('control', 'POST', '/provisioning-templates/none/provisioning-claim')).rejects.toMatchObject({
      code: 'ResourceNotFoundException',
    });
  });

  test('with a certificate provider, its function issues the certificate', async () => {
    await iot.resource('AWS::IoT::CertificateProvider', 'Provider', {
      CertificateProviderName: 'authority',
      LambdaFunctionArn: PROVIDER,
      AccountDefaultForOperations: ['CreateCertificateFromCsr'],
    });
    const issued = await makeIdentity('CN=d-provided');
    let input: Json = null;
    iot.functions.set(PROVIDER, (payload) => {
      input = payload;
      return { certificatePem: issued.certificatePem };
    });
    const { csrPem } = await makeRequest('2.5.4.5=3');
    const { body } = await ask(CREATE, { certificateSigningRequest: csrPem });
    expect(body['certificateId']).toBe(issued.id);
    expect(input).toEqual({
      certificateSigningRequest: csrPem,
      principalId: claim.id,
      clientId: expect.stringMatching(/^claim-/),
    });
    expect(iot.checks).toContain(
      `invoke by iot.amazonaws.com ${PROVIDER} for arn:aws:iot:us-east-1:000000000000:certificateprovider:authority`,
    );
    iot.functions.set(PROVIDER, () => ({}));
    expect((await ask(CREATE, { certificateSigningRequest: csrPem })).body).toMatchObject({ statusCode: 400 });
    iot.functions.set(PROVIDER, () => {
      throw new Error('no');
    });
    expect((await ask(CREATE, { certificateSigningRequest: csrPem })).outcome).toBe('rejected');
  });

  test('a template that is not understood stops the start', async () => {
    const refused = async (body: unknown, problem: string) =>
      expect(
        iot.resource('AWS::IoT::ProvisioningTemplate', 'Bad', {
          TemplateName: 'bad',
          TemplateBody: typeof body === 'string' ? body : JSON.stringify(body),
          ProvisioningRoleArn: ROLE,
        }),
      ).rejects.toThrow(problem);
    const { Resources: resources } = BODY;
    await refused('{', 'Provisioning template bad: not JSON');
    await refused({ Resources: {} }, 'exactly one AWS::IoT::Certificate');
    await refused({ ...BODY, Mappings: {} }, 'Mappings of the template is not emulated');
    await refused({ ...BODY, Parameters: {} }, 'has no value');
    await refused(
      {
        ...BODY,
        Resources: { ...resources, policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyDocument: '{}' } } },
      },
      'PolicyDocument',
    );
    await refused(
      {
        ...BODY,
        Resources: {
          ...resources,
          certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'SerialNumber' } } },
        },
      },
      'CertificateId must be',
    );
  });
});
