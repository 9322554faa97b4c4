import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { auditRecord } from '../../../../shared/audit/record.ts';
import { transact } from '../../../../shared/devices/store.ts';
import type { Review } from '../../../../shared/reviews/review.ts';
import { completeReview, reviewPart } from '../../../../shared/reviews/store.ts';
import { alarmOverdue } from '../../../../shared/reviews/watch.ts';
import { startTestDatabase } from '../../../support/test-database.ts';

test('reviews that nobody completed in time are told of once a day until somebody does', async () => {
  const database = await startTestDatabase();
  try {
    const directory = await database.table('byKind');
    const now = new Date('2026-03-05T08:00:00.000Z');
    const hours = (count: number) => new Date(now.getTime() + count * 3_600_000);
    const review = (id: number, due: Date): Review => ({
      id: `rv-${String(id).padStart(3, '0')}`,
      deviceId: 'd-1',
      commandId: '1-x',
      type: 'wipe',
      breakGlass: { reasonCode: 'no-approver-reachable', text: 'nobody answered' },
      by: 'user:ada',
      at: hours(-80).toISOString(),
      dueAt: due.toISOString(),
    });
    // More than a page of overdue ones, and others that have time.
    for (let id = 0; id < 120; id += 1) {
      await transact(directory, [reviewPart(directory, review(id, hours(id < 103 ? -1 : 1)))]);
    }
    const alerts = async () => {
      const { Items = [] } = await directory.client.send(
        new ScanCommand({
          TableName: directory.name,
          FilterExpression: 'sk = :alert',
          ExpressionAttributeValues: { ':alert': 'ALERT' },
        }),
      );
      return Items;
    };
    expect(await alarmOverdue(directory, now)).toBe(103);
    expect(await alarmOverdue(directory, hours(0.5))).toBe(103);
    expect(await alerts()).toHaveLength(103);
    expect((await alerts())[0]).toMatchObject({
      kind: 'review-overdue',
      actor: 'user:ada',
      summary: expect.stringContaining('d-1'),
    });

    const done = { ...review(0, hours(-1)), completedBy: 'user:sue', completedAt: now.toISOString(), justified: true };
    const entry = { actor: 'user:sue', action: 'CompleteReview', resource: 'device/d-1', outcome: 'allowed' } as const;
    expect(await completeReview(directory, done, auditRecord('REVIEW#rv-000', entry, now))).toBe(true);
    expect(await completeReview(directory, done, auditRecord('REVIEW#rv-000', entry, now))).toBe(false);
    expect(await alarmOverdue(directory, hours(24))).toBe(119);
    expect(await alerts()).toHaveLength(103 + 119);
  } finally {
    await database.stop();
  }
}, 120_000);
