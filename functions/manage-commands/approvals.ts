import { AlertKind, alertPart } from '../../shared/alerts/alert.ts';
import { raise } from '../../shared/alerts/store.ts';
import { type Approval, ApprovalState, hashOf, nameOf, stateOf } from '../../shared/approvals/approval.ts';
import { approvalOperations } from '../../shared/approvals/operations.ts';
import { approvalPartition, changeApproval, getApproval, listApprovals } from '../../shared/approvals/store.ts';
import { viewOf } from '../../shared/approvals/view.ts';
import { type AuditEntry, AuditOutcome, auditRecord } from '../../shared/audit/record.ts';
import { keepRecord } from '../../shared/audit/store.ts';
import type { Device } from '../../shared/devices/device.ts';
import { auditPart, getDevices } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf, type Caller } from '../../shared/identity/caller.ts';
import { deviceResource, organization, type Resource, siteResource } from '../../shared/identity/resource.ts';
import { carryOut } from './carry-out.ts';
import type { Services } from './services.ts';

/** The operations on requests that need a second person. */
export function approvalHandlers(services: Services) {
  const { devices, directory, guard } = services;

  const placesOf = ({ siteIds }: Approval): readonly Resource[] =>
    siteIds.length === 0 ? [organization()] : siteIds.map(siteResource);

  const mayRead = (caller: Caller, approval: Approval, now: Date): boolean =>
    approval.requestedBy === actorOf(caller) ||
    placesOf(approval).every((place) => guard.decide(caller, 'ReadApproval', place, now).allowed);

  const requireApproval = async (
    caller: Caller,
    path: Readonly<Record<string, string>>,
    now: Date,
  ): Promise<Approval> => {
    // Whose account was suspended since has no more to do with what they asked for than anybody else.
    guard.assertReadsSomewhere(caller, now);
    const approval = await getApproval(directory, parameter(path, 'approvalId'));
    if (approval === undefined) throw problems.notFound('There is no request with this id.');
    if (!mayRead(caller, approval, now)) {
      for (const place of placesOf(approval)) guard.assertMay(caller, 'ReadApproval', place, now);
    }
    return approval;
  };

  const devicesOf = async ({ content }: Approval): Promise<readonly Device[]> =>
    content.kind === 'limits' ? [] : getDevices(devices, content.deviceIds);

  /** Whether the caller fits as the second person, for every device. Throws the first refusal, which is recorded. */
  const permitApproval = async (caller: Caller, approval: Approval, now: Date): Promise<AuditEntry> => {
    const partition = approvalPartition(approval.id);
    if (approval.content.kind === 'limits') {
      return guard.permit(caller, 'ApproveLimits', organization(), partition, now);
    }
    const found = await devicesOf(approval);
    const policyIds = new Set<string>();
    let entry: AuditEntry | undefined;
    for (const device of found) {
      entry = await guard.permit(caller, 'ApproveCommand', deviceResource(device), partition, now);
      for (const id of entry.policyIds ?? []) policyIds.add(id);
    }
    if (entry === undefined) throw problems.conflict('None of the devices exists any more.');
    return { ...entry, policyIds: [...policyIds] };
  };

  const refuseAttempt = async (caller: Caller, approval: Approval, why: string, now: Date): Promise<void> => {
    const actor = actorOf(caller);
    const alert = {
      kind: AlertKind.ApprovalAttempt,
      actor,
      summary: `${actor} tried to approve ${nameOf(approval.content)}, which ${approval.requestedBy} asked for, and may not: ${why}`,
      see: `/v1/approvals/${approval.id}`,
      details: { approvalId: approval.id, requestedBy: approval.requestedBy },
    };
    await raise(directory, alert, now);
  };

  const decide = async (
    approval: Approval,
    entry: AuditEntry,
    decision: Pick<Approval, 'state'> & { readonly remark?: string },
    now: Date,
  ): Promise<Approval> => {
    const actor = entry.actor;
    const after: Approval = {
      ...approval,
      ...decision,
      decidedBy: actor,
      decidedAt: now.toISOString(),
      version: approval.version + 1,
    };
    const { siteId: _one, ...rest } = entry;
    const audit = auditRecord(
      approvalPartition(approval.id),
      {
        ...rest,
        resource: `approval/${approval.id}`,
        ...(approval.siteIds.length === 1 && approval.siteIds[0] !== undefined ? { siteId: approval.siteIds[0] } : {}),
        before: { state: approval.state, requestedBy: approval.requestedBy },
        after: { state: decision.state, hash: approval.hash, what: nameOf(approval.content) },
      },
      now,
    );
    const alert = alertPart(
      directory,
      {
        kind: AlertKind.ApprovalDecided,
        actor,
        summary: `${actor} ${decision.state} ${nameOf(approval.content)}, which ${approval.requestedBy} asked for.`,
        see: `/v1/approvals/${approval.id}`,
      },
      now,
    );
    if (await changeApproval(directory, approval, after, [auditPart(directory, audit), alert])) return after;
    throw problems.conflict('Somebody else decided at the same moment. Read the request again.');
  };

  const assertPending = (approval: Approval, now: Date): void => {
    const state = stateOf(approval, now.getTime());
    if (state !== ApprovalState.Pending) throw problems.conflict(`The request is ${state}.`, { approvalState: state });
  };

  return {
    listApprovals: operation(approvalOperations.listApprovals, async ({ caller, query, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const list = ['approvals', query.state ?? 'all'];
      const page = await listApprovals(directory, query.limit, startAfter(list, query.cursor));
      const time = receivedAt.getTime();
      const items = page.items
        .filter((approval) => query.state === undefined || stateOf(approval, time) === query.state)
        .filter((approval) => mayRead(caller, approval, receivedAt));
      return {
        body: pageBody(
          list,
          items.map((approval) => viewOf(approval, time)),
          page.after,
        ),
      };
    }),

    getApproval: operation(approvalOperations.getApproval, async ({ caller, path, receivedAt }) => {
      const approval = await requireApproval(caller, path, receivedAt);
      return { body: viewOf(approval, receivedAt.getTime()) };
    }),

    approveRequest: operation(approvalOperations.approveRequest, async ({ caller, path, body, receivedAt }) => {
      const approval = await requireApproval(caller, path, receivedAt);
      const actor = actorOf(caller);
      const resumes = approval.state === ApprovalState.Approved && approval.decidedBy === actor;
      if (resumes && approval.results !== undefined) return { body: viewOf(approval, receivedAt.getTime()) };
      if (!resumes) assertPending(approval, receivedAt);
      if (approval.requestedBy === actor) {
        const why = 'You asked for it yourself; another person must approve it.';
        const refused = {
          actor,
          action: approval.content.kind === 'limits' ? 'ApproveLimits' : 'ApproveCommand',
          resource: `approval/${approval.id}`,
          outcome: AuditOutcome.Refused,
          reason: why,
        };
        await keepRecord(directory, auditRecord(approvalPartition(approval.id), refused, receivedAt));
        await refuseAttempt(caller, approval, 'it is their own request.', receivedAt);
        throw problems.forbidden(why, { gate: 'approval', ruleId: 'R3' });
      }
      if (body.hash !== approval.hash || hashOf(approval) !== approval.hash) {
        throw problems.conflict('The request is not the one that you looked at. Read it again, then decide.', {
          gate: 'approval',
          ruleId: 'R3',
        });
      }
      let entry: AuditEntry;
      try {
        entry = await permitApproval(caller, approval, receivedAt);
      } catch (error) {
        await refuseAttempt(caller, approval, error instanceof Error ? error.message : 'not permitted.', receivedAt);
        throw error;
      }
      const approved = resumes
        ? approval
        : await decide(approval, entry, { state: ApprovalState.Approved }, receivedAt);
      const done = await carryOut(services, approved, receivedAt);
      return { body: viewOf(done, receivedAt.getTime()) };
    }),

    denyRequest: operation(approvalOperations.denyRequest, async ({ caller, path, body, receivedAt }) => {
      const approval = await requireApproval(caller, path, receivedAt);
      if (approval.state === ApprovalState.Denied) return { body: viewOf(approval, receivedAt.getTime()) };
      assertPending(approval, receivedAt);
      const partition = approvalPartition(approval.id);
      // Stopping is easier than starting: no second factor, and whoever may cancel such a command may deny it.
      let entry = await guard.permit(caller, 'ReadBrake', organization(), partition, receivedAt);
      if (approval.content.kind === 'limits') {
        entry = await guard.permit(caller, 'PullBrake', organization(), partition, receivedAt);
      }
      for (const device of await devicesOf(approval)) {
        entry = await guard.permit(caller, 'CancelCommand', deviceResource(device), partition, receivedAt);
      }
      const denied = await decide(
        approval,
        { ...entry, action: 'DenyRequest', reason: body.remark },
        { state: ApprovalState.Denied, remark: body.remark },
        receivedAt,
      );
      return { body: viewOf(denied, receivedAt.getTime()) };
    }),

    withdrawRequest: operation(approvalOperations.withdrawRequest, async ({ caller, path, receivedAt }) => {
      const approval = await requireApproval(caller, path, receivedAt);
      const actor = actorOf(caller);
      if (approval.requestedBy !== actor) {
        throw problems.forbidden('Only who asked can withdraw; deny it instead.');
      }
      if (approval.state === ApprovalState.Withdrawn) return { body: viewOf(approval, receivedAt.getTime()) };
      assertPending(approval, receivedAt);
      const entry = { actor, action: 'WithdrawRequest', resource: `approval/${approval.id}`, outcome: 'allowed' };
      const withdrawn = await decide(
        approval,
        { ...entry, outcome: 'allowed' },
        { state: ApprovalState.Withdrawn },
        receivedAt,
      );
      return { body: viewOf(withdrawn, receivedAt.getTime()) };
    }),
  };
}
