import fc from 'fast-check';
import {
  type Approval,
  type ApprovalContent,
  hashOf,
  nameOf,
  stateOf,
} from '../../../../../shared/approvals/approval.ts';
import { CommandType } from '../../../../../shared/commands/command.ts';
import {
  type ApprovalQuestion,
  approvalDecision,
  destructiveTypes,
} from '../../../../../shared/commands/gates/approval.ts';
import { defaultLimits } from '../../../../../shared/limits/limits.ts';

const now = new Date('2026-03-02T08:00:00.000Z');
const ids = ['d-1', 'd-2', 'd-3', 'd-4'];
const person = fc.constantFrom('user:a', 'user:b', 'user:c');
const type = fc.constantFrom(...Object.values(CommandType), 'revoke' as const);
const parameters = fc.constantFrom({}, { pin: '123456' }, { version: '2' });
const deviceIds = fc.subarray(ids, { minLength: 1 });
const content: fc.Arbitrary<ApprovalContent> = fc.oneof(
  fc.record({
    kind: fc.constant('command' as const),
    type: fc.constantFrom(...Object.values(CommandType)),
    parameters,
    deviceIds,
  }),
  fc.record({ kind: fc.constant('revoke' as const), deviceIds }),
  fc.constant({ kind: 'limits' as const, limits: defaultLimits, seenVersion: 0 }),
);
const approval: fc.Arbitrary<Approval> = fc
  .record({
    content,
    requestedBy: person,
    decidedBy: person,
    minutes: fc.integer({ min: -90, max: 0 }),
    state: fc.constantFrom('pending' as const, 'approved' as const, 'denied' as const, 'withdrawn' as const),
  })
  .map(({ content: asked, requestedBy, decidedBy, minutes, state }) => {
    const at = now.getTime() + minutes * 60_000;
    const request = {
      id: 'ap-1',
      content: asked,
      requestedBy,
      requestedAt: new Date(at).toISOString(),
      expiresAt: new Date(at + 3_600_000).toISOString(),
    };
    return { ...request, hash: hashOf(request), state, decidedBy, policyIds: [], siteIds: [], version: 1 };
  });
const question: fc.Arbitrary<ApprovalQuestion> = fc
  .record({
    type,
    parameters,
    deviceId: fc.constantFrom(...ids),
    requestedBy: person,
    approval: fc.option(approval, { nil: undefined }),
  })
  .chain((some) =>
    fc
      .record({ devices: fc.integer({ min: 1, max: 40 }) })
      .map(({ devices }) => ({ ...some, devices, bulkWithoutApproval: 25, now })),
  );

/** What was asked for and approved, as a question that fits it. */
const fitting = (one: Approval, deviceId: string): ApprovalQuestion => {
  const { content: asked } = one;
  const what =
    asked.kind === 'command'
      ? { type: asked.type, parameters: asked.parameters }
      : { type: 'revoke' as const, parameters: {} };
  const devices = asked.kind === 'limits' ? 1 : asked.deviceIds.length;
  return { ...what, deviceId, devices, bulkWithoutApproval: 25, requestedBy: one.requestedBy, approval: one, now };
};

describe('approvalDecision', () => {
  test('never lets a destructive command through without two different people, within the hour, for exactly this', () => {
    fc.assert(
      fc.property(question, (asked) => {
        const { effect } = approvalDecision(asked);
        if (effect !== 'allow' || (!destructiveTypes.has(asked.type) && asked.devices <= 25)) return;
        const given = asked.approval;
        expect(given).toBeDefined();
        if (given === undefined || given.content.kind === 'limits') throw new Error('nobody agreed to this');
        expect(given.state).toBe('approved');
        expect(given.decidedBy).not.toBe(given.requestedBy);
        expect(given.requestedBy).toBe(asked.requestedBy);
        expect(Date.parse(given.expiresAt)).toBeGreaterThan(now.getTime());
        expect(given.content.deviceIds).toContain(asked.deviceId);
        expect(given.content.deviceIds).toHaveLength(asked.devices);
        if (given.content.kind === 'command') {
          expect([given.content.type, given.content.parameters]).toEqual([asked.type, asked.parameters]);
        } else expect(asked.type).toBe('revoke');
      }),
      { numRuns: 2_000 },
    );
  });

  test('lets exactly what two people agreed to through, and nothing after any change of it', () => {
    fc.assert(
      fc.property(approval, fc.nat(3), (given, at) => {
        fc.pre(given.content.kind !== 'limits' && given.decidedBy !== given.requestedBy);
        fc.pre(Date.parse(given.expiresAt) > now.getTime());
        const whole: Approval = { ...given, state: 'approved' };
        const deviceId = given.content.deviceIds[at % given.content.deviceIds.length] ?? '';
        const asked = fitting(whole, deviceId);
        expect(approvalDecision(asked).effect).toBe('allow');
        fc.pre(destructiveTypes.has(asked.type));
        const changes: Partial<Approval>[] = [
          { content: { ...given.content, deviceIds: [...given.content.deviceIds, 'd-9'] } },
          { content: { ...given.content, deviceIds: ['d-9'] } },
          { expiresAt: new Date(Date.parse(given.expiresAt) + 1).toISOString() },
          { requestedBy: 'user:x' },
          { id: 'ap-2' },
          ...(given.content.kind === 'command' ? [{ content: { ...given.content, parameters: { more: 1 } } }] : []),
        ];
        for (const change of changes) {
          const changed = { ...whole, ...change };
          expect(approvalDecision({ ...asked, approval: changed }).effect).toBe('deny');
          // Somebody who can write the table but not find two people: a new hash makes another request of it.
          expect(hashOf(changed)).not.toBe(whole.hash);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('says that a second person is needed, and lets one person act in an emergency on one device only', () => {
    const wipe = {
      type: CommandType.Wipe,
      parameters: {},
      deviceId: 'd-1',
      requestedBy: 'user:a',
      bulkWithoutApproval: 25,
      now,
    } as const;
    const breakGlass = { reasonCode: 'active-attack', text: 'devices are being stolen' } as const;
    expect(approvalDecision({ ...wipe, devices: 1 })).toMatchObject({ effect: 'approval', ruleId: 'R3' });
    expect(approvalDecision({ ...wipe, devices: 1, breakGlass })).toMatchObject({ effect: 'allow', ruleId: 'R12' });
    expect(approvalDecision({ ...wipe, devices: 2, breakGlass })).toMatchObject({ effect: 'deny', ruleId: 'R12' });
    const locate = { ...wipe, type: CommandType.Locate };
    expect(approvalDecision({ ...locate, devices: 25 }).effect).toBe('allow');
    expect(approvalDecision({ ...locate, devices: 26 }).effect).toBe('approval');
    expect(approvalDecision({ ...locate, devices: 26, breakGlass }).effect).toBe('deny');
  });
});

test('a request that nobody decided expires by itself', () => {
  const expiresAt = new Date(now.getTime() + 1).toISOString();
  expect(stateOf({ state: 'pending', expiresAt }, now.getTime())).toBe('pending');
  expect(stateOf({ state: 'pending', expiresAt }, now.getTime() + 1)).toBe('expired');
  expect(stateOf({ state: 'denied', expiresAt }, now.getTime() + 1)).toBe('denied');
  expect(nameOf({ kind: 'revoke', deviceIds: ['d-1'] })).toBe('revocation of 1 device');
});
