import fc from 'fast-check';
import {
  type Approval,
  type ApprovalContent,
  hashOf,
  nameOf,
  stateOf,
} from '../../../../../shared/approvals/approval.ts';
import { CommandType, isRolloutType, type OrderedType } from '../../../../../shared/commands/command.ts';
import {
  type ApprovalQuestion,
  approvalDecision,
  destructiveTypes,
} from '../../../../../shared/commands/gates/approval.ts';
import { defaultLimits } from '../../../../../shared/limits/limits.ts';
import {
  activationOrder,
  downloadOrder,
  type RolloutGrant,
} from '../../../../../shared/rollouts/admission/update-order.ts';
import type { RolloutState } from '../../../../../shared/rollouts/rollout.ts';

const now = new Date('2026-03-02T08:00:00.000Z');
const ids = ['d-1', 'd-2', 'd-3', 'd-4'];
const person = fc.constantFrom('user:a', 'user:b', 'user:c');
const type = fc.constantFrom(...Object.values(CommandType), 'revoke' as const);
const parameters = fc.constantFrom({}, { pin: '123456' }, { version: '2' });
const deviceIds = fc.subarray(ids, { minLength: 1 });
const content: fc.Arbitrary<ApprovalContent> = fc.oneof(
  fc.record({
    kind: fc.constant('command' as const),
    type: fc.constantFrom(...Object.values(CommandType).filter((one): one is OrderedType => !isRolloutType(one))),
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
        if (effect !== 'allow') return;
        // Without a rollout none of these ever goes, whatever else is said.
        expect(isRolloutType(asked.type)).toBe(false);
        if (!destructiveTypes.has(asked.type) && asked.devices <= 25) return;
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

const definition = {
  name: 'Pumps 4.2',
  artifact: {
    kind: 'firmware',
    name: 'Infuse firmware',
    version: '4.2.0',
    sha256: 'ab'.repeat(32),
    signature: 'c2lnbmF0dXJl',
    url: 'https://updates.example/infuse-4.2.0.bin',
  },
  selection: {},
  waves: [],
  order: 'pilot-first',
  onStop: 'pause',
  wayBack: 'The slot before.',
  soakHours: 24,
} as const satisfies RolloutGrant['definition'];

describe('approvalDecision, for what a rollout queues', () => {
  const states: readonly RolloutState[] = [
    'draft',
    'planned',
    'awaiting-approval',
    'scheduled',
    'running',
    'soaking',
    'completed',
    'paused',
    'aborting',
    'aborted',
    'rolling-back',
    'rolled-back',
    'rollback-partial',
    'rejected',
    'expired',
    'superseded',
  ];
  const someone = fc.option(person, { nil: undefined });
  const rollout: fc.Arbitrary<RolloutGrant> = fc
    .record({
      state: fc.constantFrom(...states),
      createdBy: person,
      submittedBy: someone,
      approvedBy: someone,
      digest: fc.option(fc.constant('d1'), { nil: undefined }),
    })
    .map(
      ({ submittedBy, approvedBy, digest, ...rest }): RolloutGrant => ({
        id: 'ro-1',
        definition,
        ...rest,
        ...(submittedBy === undefined ? {} : { submittedBy }),
        ...(approvedBy === undefined ? {} : { approvedBy }),
        ...(digest === undefined ? {} : { digest }),
      }),
    );
  const whole: RolloutGrant = {
    id: 'ro-1',
    definition,
    state: 'running',
    createdBy: 'user:a',
    submittedBy: 'user:a',
    approvedBy: 'user:b',
    digest: 'd1',
  };
  const orders = [downloadOrder(whole), activationOrder(whole, 'forward'), activationOrder(whole, 'back')] as const;
  const ask = (grant: RolloutGrant | undefined, order: (typeof orders)[number], more: Partial<ApprovalQuestion> = {}) =>
    approvalDecision({
      ...order,
      deviceId: 'd-1',
      devices: 1,
      bulkWithoutApproval: 25,
      requestedBy: 'system:rollout-progress',
      rollout: grant,
      now,
      ...more,
    });

  test('goes only while it is under way, and when another person than who made or submitted it approved its plan', () => {
    fc.assert(
      fc.property(rollout, fc.constantFrom(...orders), (grant, order) => {
        const { createdBy, submittedBy, approvedBy, digest, state } = grant;
        const underWay =
          order.parameters['back'] === true ? state === 'rolling-back' : state === 'running' || state === 'soaking';
        const twoPeople =
          submittedBy !== undefined &&
          approvedBy !== undefined &&
          approvedBy !== submittedBy &&
          approvedBy !== createdBy;
        const allowed = underWay && twoPeople && digest !== undefined;
        expect(ask(grant, order).effect).toBe(allowed ? 'allow' : 'deny');
      }),
      { numRuns: 2_000 },
    );
  });

  test('goes only with exactly the artifact of the rollout', () => {
    const members = fc.constantFrom(
      'rolloutId',
      'kind',
      'name',
      'version',
      'sha256',
      'signature',
      'url',
      'back',
      'more',
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...orders),
        members,
        fc.option(fc.string(), { nil: undefined }),
        (order, name, value) => {
          const grant: RolloutGrant = {
            ...whole,
            state: order.parameters['back'] === true ? 'rolling-back' : 'running',
          };
          expect(ask(grant, order).effect).toBe('allow');
          fc.pre(order.parameters[name] !== value);
          const { [name]: _before, ...others } = order.parameters;
          const changed = value === undefined ? others : { ...others, [name]: value };
          expect(ask(grant, { ...order, parameters: changed }).effect).toBe('deny');
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('names the rollout and who approved it', () => {
    const decision = ask(whole, orders[1]);
    expect(decision).toMatchObject({ gate: 'approval', effect: 'allow', ruleId: 'R3' });
    expect(decision.reason).toBe('Two people want ro-1: user:a and user:b.');
    expect(decision.inputs).toContainEqual({ signal: 'rollout', value: 'ro-1', source: 'directory' });
    expect(decision.inputs).toContainEqual({ signal: 'approved by', value: 'user:b', source: 'user:b' });
  });

  test('goes neither with an approval nor in an emergency, when no rollout asks', () => {
    const breakGlass = { reasonCode: 'active-attack', text: 'devices are being stolen' } as const;
    for (const order of orders) {
      const denied = ask(undefined, order, { requestedBy: 'user:a', breakGlass });
      expect(denied).toMatchObject({ effect: 'deny', ruleId: 'R3' });
      expect(denied.reason).toBe(`Only a rollout asks for ${order.type}; make one, or ask for install-update.`);
    }
  });

  test('opens no other door: a rollout does not stand for what people ask for', () => {
    fc.assert(
      fc.property(question, (asked) => {
        fc.pre(!isRolloutType(asked.type));
        expect(approvalDecision({ ...asked, rollout: whole })).toEqual(approvalDecision(asked));
      }),
    );
  });
});

test('a request that nobody decided expires by itself', () => {
  const expiresAt = new Date(now.getTime() + 1).toISOString();
  expect(stateOf({ state: 'pending', expiresAt }, now.getTime())).toBe('pending');
  expect(stateOf({ state: 'pending', expiresAt }, now.getTime() + 1)).toBe('expired');
  expect(stateOf({ state: 'denied', expiresAt }, now.getTime() + 1)).toBe('denied');
  expect(nameOf({ kind: 'revoke', deviceIds: ['d-1'] })).toBe('revocation of 1 device');
});
