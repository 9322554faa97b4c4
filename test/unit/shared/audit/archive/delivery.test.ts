import { deliveryOf } from '../../../../../shared/audit/archive/delivery.ts';
import { auditRecord } from '../../../../../shared/audit/record.ts';

const at = new Date('2027-03-01T10:00:00.000Z');
const changedAt = new Date('2027-03-02T10:00:00.000Z');
const item = auditRecord(
  'SITE#s-1',
  { actor: 'user:ada', action: 'UpdateSite', resource: 'site/s-1', siteId: 's-1', outcome: 'allowed' },
  at,
);
const { pk, sk, ...record } = item;

test('a new record goes into the archive as it is', () => {
  expect(deliveryOf({ sequenceNumber: '7', kind: 'INSERT', after: { ...item } }, at)).toEqual({
    entry: { source: { pk, sk }, record },
    sequenceNumber: '7',
    tampering: false,
  });
});

test('members that this version does not know are kept', () => {
  const after = { ...item, decisions: [{ gate: 'interlock', inputs: [{ age: 12 }] }] };
  expect(deliveryOf({ sequenceNumber: '7', kind: 'INSERT', after }, at)?.entry.record).toMatchObject({
    decisions: [{ gate: 'interlock', inputs: [{ age: 12 }] }],
  });
});

test('what happens to a record afterwards is evidence, at its site, with both states', () => {
  const after = { ...item, actor: 'user:eve' };
  const delivery = deliveryOf({ sequenceNumber: '8', kind: 'MODIFY', before: { ...item }, after }, changedAt);
  expect(delivery).toMatchObject({
    tampering: true,
    entry: {
      record: {
        action: 'ChangeAuditRecord',
        actor: 'unknown',
        at: changedAt.toISOString(),
        resource: 'site/s-1',
        siteId: 's-1',
        before: { actor: 'user:ada' },
        after: { actor: 'user:eve' },
      },
    },
  });
  // Delivered again it is the same, so that it is archived once.
  expect(deliveryOf({ sequenceNumber: '8', kind: 'MODIFY', before: { ...item }, after }, changedAt)).toEqual(delivery);
  const removal = deliveryOf({ sequenceNumber: '9', kind: 'REMOVE', before: { ...item } }, changedAt);
  expect(removal?.entry.record).toMatchObject({ action: 'RemoveAuditRecord', before: { actor: 'user:ada' } });
  expect(removal?.entry.source).not.toEqual(delivery?.entry.source);
});

test('nothing else is a record, the bookkeeping of the archive itself least of all', () => {
  for (const key of ['HEAD', 'MARK#AUDIT#2027', 'OPEN#1']) {
    expect(deliveryOf({ sequenceNumber: '1', kind: 'INSERT', after: { pk: 'x', sk: key } }, at)).toBeUndefined();
  }
});
