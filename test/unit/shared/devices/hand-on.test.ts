import type { Change } from '../../../../shared/aws/stream.ts';
import { handOn } from '../../../../shared/devices/hand-on.ts';

/** As the store writes them: the id of a head is in its key alone. */
const keys = { pk: 'DEVICE#d-1', gsi1pk: 'SITE#-', gsi1sk: '-#d-1' };
const change = (sk: string, after: Record<string, unknown>, more: Partial<Change> = {}): Change => ({
  sequenceNumber: '1',
  kind: 'MODIFY',
  before: { ...keys, sk },
  after: { ...keys, sk, ...after },
  ...more,
});
const ofRollout = { parameters: { rolloutId: 'ro-1' } };

describe('handOn', () => {
  test.each(['acknowledged', 'verified', 'failed', 'deferred', 'expired', 'cancelled'])(
    'a %s command of a rollout goes to it, wherever it lies',
    (status) => {
      for (const sk of ['OPEN#5-01', 'CLOSED#01']) {
        const after = { ...ofRollout, status };
        expect(handOn(change(sk, after, { kind: 'INSERT' }))).toEqual({
          queue: 'rollouts',
          body: { kind: 'command', after: expect.objectContaining(after) },
        });
      }
    },
  );

  test.each(['queued', 'pushed', 'delivered'])('a %s command has brought nothing yet', (status) => {
    expect(handOn(change('OPEN#5-01', { ...ofRollout, status }))).toBeUndefined();
  });

  test('a command of a person concerns no rollout', () => {
    expect(handOn(change('CLOSED#01', { parameters: { text: 'x' }, status: 'acknowledged' }))).toBeUndefined();
  });

  test('an execution goes to its rollout, also one that never began', () => {
    for (const sk of ['EXECUTION#firmware', 'EXECUTED#ro-1#forward']) {
      expect(handOn(change(sk, { rolloutId: 'ro-1' }))).toMatchObject({
        queue: 'rollouts',
        body: { kind: 'execution' },
      });
    }
    expect(handOn({ sequenceNumber: '1', kind: 'REMOVE', before: { sk: 'EXECUTION#firmware' } })).toBeUndefined();
  });

  test('of a head only what it says of its certificates, and only where that may have an end', () => {
    const head = { certificate: 'a', lifecycle: 'enrolled', clinical: { state: 'in-use' } };
    expect(handOn(change('HEAD', head))).toBeUndefined();
    expect(handOn(change('HEAD', { ...head, lifecycle: 'revoked' }))?.body).toEqual({
      before: { lifecycle: undefined, certificate: undefined, nextCertificate: undefined },
      after: { id: 'd-1', lifecycle: 'revoked', certificate: 'a', nextCertificate: undefined },
    });
    const renewed = change('HEAD', head, {
      before: { ...keys, sk: 'HEAD', lifecycle: 'enrolled', certificate: 'z', nextCertificate: 'a' },
    });
    expect(handOn(renewed)).toMatchObject({ queue: 'retire', body: { before: { nextCertificate: 'a' } } });
    expect(handOn({ ...renewed, kind: 'INSERT' })).toBeUndefined();
  });

  test('what nobody needs goes nowhere', () => {
    for (const sk of ['AUDIT#x', 'DESIRED', 'COUNTED#ro-1#forward', 'REPORT#inventory'])
      expect(handOn(change(sk, {}))).toBeUndefined();
  });
});
