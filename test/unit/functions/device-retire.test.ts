import { IoTClient, UpdateCertificateCommand } from '@aws-sdk/client-iot';
import { DeleteConnectionCommand, IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { jest } from '@jest/globals';
import type { SQSRecord } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import { handOn } from '../../../shared/devices/hand-on.ts';

process.env['AWS_REGION'] = 'us-east-1';
process.env['POWERTOOLS_DEV'] = 'true';
const { handler } = await import('../../../functions/device-retire/handler.ts');
const iot = mockClient(IoTClient);
const data = mockClient(IoTDataPlaneClient);

/** As the store writes them: the id is in the key alone. */
const keys = { pk: 'DEVICE#d-1', sk: 'HEAD', gsi1pk: 'SITE#-', gsi1sk: '-#d-1' };
type Certificates = Readonly<Record<string, string>>;
/** A message as `device-push` makes it of a change of a head. */
const record = (messageId: string, before: Certificates, after: Certificates): SQSRecord => {
  const handed = handOn({
    sequenceNumber: messageId,
    kind: 'MODIFY',
    before: { ...keys, lifecycle: 'enrolled', ...before },
    after: { ...keys, lifecycle: 'enrolled', ...after },
  });
  return { messageId, body: JSON.stringify(handed?.body) } as SQSRecord;
};
const promoted = (messageId: string, from: string, to: string) =>
  record(messageId, { certificate: from, nextCertificate: to }, { certificate: to });

describe('device-retire', () => {
  beforeEach(() => {
    iot.reset();
    data.reset();
    iot.on(UpdateCertificateCommand).resolves({});
    data.on(DeleteConnectionCommand).resolves({});
    for (const level of ['info', 'error'] as const) jest.spyOn(console, level).mockImplementation(() => undefined);
  });
  afterEach(() => jest.restoreAllMocks());

  test('the old certificate is switched off once the renewed one was used', async () => {
    expect(await handler({ Records: [promoted('1', 'a', 'b')] })).toEqual({ batchItemFailures: [] });
    expect(iot.calls().map(({ args }) => args[0].input)).toEqual([{ certificateId: 'a', newStatus: 'INACTIVE' }]);
    expect(data.calls()).toHaveLength(0);
  });

  test('a revoked device is cut off', async () => {
    await handler({ Records: [record('1', { certificate: 'a' }, { certificate: 'a', lifecycle: 'revoked' })] });
    expect(iot.calls().map(({ args }) => args[0].input)).toEqual([{ certificateId: 'a', newStatus: 'REVOKED' }]);
    expect(data.calls().map(({ args }) => args[0].input)).toMatchObject([{ clientId: 'd-1' }]);
  });

  test('what fails comes again, alone', async () => {
    iot.on(UpdateCertificateCommand, { certificateId: 'c' }).rejects(new Error('throttled'));
    const records = [promoted('1', 'a', 'b'), promoted('2', 'c', 'd'), promoted('3', 'e', 'f')];
    expect(await handler({ Records: records })).toEqual({ batchItemFailures: [{ itemIdentifier: '2' }] });
    expect(iot.calls().map(({ args }) => args[0].input)).toMatchObject([
      { certificateId: 'a' },
      { certificateId: 'c' },
      { certificateId: 'e' },
    ]);
  });

  test('changes that come late and in disorder retire the same certificates', async () => {
    const [first, second] = [promoted('1', 'a', 'b'), promoted('2', 'b', 'c')];
    await handler({ Records: [second, first, second] });
    const retired = iot.calls().map(({ args }) => (args[0].input as { certificateId: string }).certificateId);
    expect(new Set(retired)).toEqual(new Set(['a', 'b']));
  });

  test('a message that is none goes to the dead letters, and holds up no other', async () => {
    const records = [{ messageId: '1', body: '{}' } as SQSRecord, promoted('2', 'a', 'b')];
    expect(await handler({ Records: records })).toEqual({ batchItemFailures: [{ itemIdentifier: '1' }] });
    expect(iot.calls()).toHaveLength(1);
  });
});
