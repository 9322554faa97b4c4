import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateThingCommand,
  IoTClient,
  RegisterCertificateWithoutCACommand,
  ResourceAlreadyExistsException,
  ResourceNotFoundException,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot';
import {
  DeleteConnectionCommand,
  IoTDataPlaneClient,
  ResourceNotFoundException as NoConnection,
} from '@aws-sdk/client-iot-data-plane';
import { mockClient } from 'aws-sdk-client-mock';
import { iotDisconnector } from '../../../../shared/aws/iot-disconnector.ts';
import { iotRegistrar } from '../../../../shared/aws/iot-registrar.ts';

const iot = mockClient(IoTClient);
const data = mockClient(IoTDataPlaneClient);
const arn = 'arn:aws:iot:us-east-1:000000000000:cert/abc';
const meta = { message: 'm', $metadata: {} };
const exists = new ResourceAlreadyExistsException({ ...meta, resourceArn: arn, resourceId: 'abc' });
const names = () => iot.calls().map(({ args }) => args[0].constructor.name);
const steps = [
  RegisterCertificateWithoutCACommand,
  CreateThingCommand,
  AttachThingPrincipalCommand,
  AttachPolicyCommand,
] as const;

describe('iotRegistrar', () => {
  const registrar = iotRegistrar(new IoTClient({ region: 'us-east-1' }), 'wardline-device', 'wardline-device-type');

  beforeEach(() => {
    iot.reset();
    iot.on(RegisterCertificateWithoutCACommand).resolves({ certificateArn: arn });
    iot.onAnyCommand({}).resolves({});
  });

  test('registers, makes the thing, attaches exclusively, and gives the policy last', async () => {
    iot.on(RegisterCertificateWithoutCACommand).resolves({ certificateArn: arn });
    await registrar.register('d-1', 'PEM');
    expect(iot.calls().map(({ args }) => args[0].input)).toEqual([
      { certificatePem: 'PEM', status: 'ACTIVE' },
      { thingName: 'd-1', thingTypeName: 'wardline-device-type' },
      { thingName: 'd-1', principal: arn, thingPrincipalType: 'EXCLUSIVE_THING' },
      { policyName: 'wardline-device', target: arn },
    ]);
  });

  test('what exists already is taken as done, and its status is left alone', async () => {
    iot.on(RegisterCertificateWithoutCACommand).rejects(exists);
    iot.on(CreateThingCommand).rejects(exists);
    await registrar.register('d-1', 'PEM');
    expect(names()).toEqual(steps.map(({ name }) => name));
    expect(iot.commandCalls(AttachPolicyCommand)[0]?.args[0].input.target).toBe(arn);
  });

  test.each([...steps.keys()])('killed at step %i, a repetition completes it', async (step) => {
    const killed = steps[step] ?? CreateThingCommand;
    iot.on(RegisterCertificateWithoutCACommand).resolves({ certificateArn: arn });
    iot.on(killed as typeof CreateThingCommand).rejects(new Error('killed'));
    await expect(registrar.register('d-1', 'PEM')).rejects.toThrow('killed');
    expect(names()).toEqual(steps.slice(0, step + 1).map(({ name }) => name));
    iot.resetHistory();
    iot.on(killed as typeof CreateThingCommand).resolves({});
    iot.on(RegisterCertificateWithoutCACommand).rejects(exists);
    await registrar.register('d-1', 'PEM');
    expect(names()).toEqual(steps.map(({ name }) => name));
  });

  test('switches off: retired is inactive, revoked is revoked, unknown is no error', async () => {
    await registrar.retire('abc');
    await registrar.revoke('abc');
    expect(iot.calls().map(({ args }) => args[0].input)).toEqual([
      { certificateId: 'abc', newStatus: 'INACTIVE' },
      { certificateId: 'abc', newStatus: 'REVOKED' },
    ]);
    iot.on(UpdateCertificateCommand).rejects(new ResourceNotFoundException(meta));
    await expect(registrar.revoke('abc')).resolves.toBeUndefined();
    iot.on(UpdateCertificateCommand).rejects(new Error('throttled'));
    await expect(registrar.revoke('abc')).rejects.toThrow('throttled');
  });
});

describe('iotDisconnector', () => {
  test('cuts the connection and its session; no connection is no error', async () => {
    const connections = iotDisconnector(new IoTDataPlaneClient({ region: 'us-east-1' }));
    data.on(DeleteConnectionCommand).resolves({});
    await connections.disconnect('d-1');
    expect(data.calls()[0]?.args[0].input).toEqual({ clientId: 'd-1', cleanSession: true });
    data.on(DeleteConnectionCommand).rejects(new NoConnection(meta));
    await expect(connections.disconnect('d-1')).resolves.toBeUndefined();
    data.on(DeleteConnectionCommand).rejects(new Error('throttled'));
    await expect(connections.disconnect('d-1')).rejects.toThrow('throttled');
  });
});
