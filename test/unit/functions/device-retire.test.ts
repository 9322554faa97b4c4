import { IoTClient, UpdateCertificateCommand } from '@aws-sdk/client-iot';
import { DeleteConnectionCommand, IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane';
import { jest } from '@jest/globals';
import type { DynamoDBRecord } from 'aws-lambda';
import { mockClient } from 'aws-sdk-client-mock';

process.env['AWS_REGION'] = 'us-east-1';
process.env['POWERTOOLS_DEV'] = 'true';
const { handler } = await import('../../../functions/device-retire/handler.ts');
const iot = mockClient(IoTClient);
const data = mockClient(IoTDataPlaneClient);

const keys = { pk: 'DEVICE#d-1', sk: 'HEAD', gsi1pk: 'SITE#-', gsi1sk: '-#d-1' };
const image = (head: Record<string, string>) =>
  Object.fromEntries(Object.entries(head).map(([name, value]) => [name, { S: value }]));
const record = (sequence: string, before: Record<string, string>, after: Record<string, string>): DynamoDBRecord => ({
  eventName: 'MODIFY',
  dynamodb: {
    SequenceNumber: sequence,
    OldImage: image({ ...keys, lifecycle: 'enrolled', ...before }),
    NewImage: image({ ...keys, lifecycle: 'enrolled', ...after }),
  },
});
const promoted = (sequence: string, from: string, to: string) =>
  record(sequence, { certificate: from, nextCertificate: to }, { certificate: to });

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

  test('stops at the record that fails, so that Lambda goes on there', async () => {
    iot.on(UpdateCertificateCommand, { certificateId: 'c' }).rejects(new Error('throttled'));
    const records = [promoted('1', 'a', 'b'), promoted('2', 'c', 'd'), promoted('3', 'e', 'f')];
    expect(await handler({ Records: records })).toEqual({ batchItemFailures: [{ itemIdentifier: '2' }] });
    expect(iot.calls().map(({ args }) => args[0].input)).toMatchObject([
      { certificateId: 'a' },
      { certificateId: 'c' },
    ]);
  });
});
