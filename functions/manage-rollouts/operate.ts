import { AlertKind, alertPart } from '../../shared/alerts/alert.ts';
import { raise } from '../../shared/alerts/store.ts';
import { timestamp } from '../../shared/clock.ts';
import { getDevice } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import type { ApiRequest } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Action } from '../../shared/identity/actions.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { partOf } from '../../shared/rollouts/executions/return-device.ts';
import { bakeEndOf, rolloutAlert } from '../../shared/rollouts/gate/judge-wave.ts';
import { forgetMarkPart } from '../../shared/rollouts/gate/watch-store.ts';
import { backMachineName, machineName } from '../../shared/rollouts/machines/machine-names.ts';
import { approvalHours, assertBaked, assertPlanned, type Deed } from '../../shared/rollouts/manage.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { RolloutPlaces } from '../../shared/rollouts/places.ts';
import type { RolloutEvent } from '../../shared/rollouts/rollout.ts';
import { listSiteSummaries, type StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import { requireRollout, resourceOf } from './access.ts';
import { answered, changed, keepRefusal } from './change.ts';
import type { Services } from './services.ts';

/** Approving, starting, stopping, and everything else that people do with a rollout that was planned. */
export function operateHandlers(services: Services) {
  const { devices, directory, guard, startMachine } = services;

  /** A deed that needs no look at anything but the rollout. */
  const plain = async (
    request: ApiRequest<{ readonly reason: string } | undefined, undefined>,
    action: Action,
    event: RolloutEvent & { readonly kind: Deed },
  ) => {
    const reason = request.body?.reason;
    const wanted = { action, eventOf: () => event, ...(reason === undefined ? {} : { reason }) };
    return answered(services, await changed(services, request, wanted), request);
  };

  /** Somebody tried to be the second person who may not be: others are told. */
  const refuseApproval = (rollout: StoredRollout, actor: string, why: string, now: Date): Promise<void> =>
    raise(
      directory,
      {
        kind: AlertKind.ApprovalAttempt,
        actor,
        summary: `${actor} tried to approve rollout ${rollout.id}, which ${rollout.submittedBy ?? rollout.createdBy} asked for, and may not: ${why}`,
        see: `/v1/rollouts/${rollout.id}`,
        details: { rolloutId: rollout.id },
      },
      now,
    );

  return {
    submitRollout: operation(rolloutOperations.submitRollout, async (request) => {
      const { caller, receivedAt } = request;
      const approveUntil = receivedAt.getTime() + approvalHours * 3_600_000;
      const after = await changed(services, request, {
        action: 'SubmitRollout',
        eventOf(rollout) {
          assertPlanned(rollout);
          return { kind: 'submit', by: actorOf(caller), approveUntil };
        },
        parts: ({ id }) => [
          alertPart(
            directory,
            {
              kind: AlertKind.ApprovalRequested,
              actor: actorOf(caller),
              summary: `${actorOf(caller)} asks for the approval of rollout ${id}; a second person is needed.`,
              see: `/v1/rollouts/${id}/plan`,
              details: { rolloutId: id },
            },
            receivedAt,
          ),
        ],
      });
      return answered(services, after, request);
    }),

    approveRollout: operation(rolloutOperations.approveRollout, async (request) => {
      const { caller, path, body, receivedAt } = request;
      const by = actorOf(caller);
      const rollout = await requireRollout(services, path);
      if (rollout.state === 'awaiting-approval') {
        if (by === rollout.createdBy || by === rollout.submittedBy) {
          const why = 'You made or submitted it yourself; another person must approve it.';
          await keepRefusal(services, request, rollout, 'ApproveRollout', why);
          await refuseApproval(rollout, by, 'it is their own.', receivedAt);
          throw problems.forbidden(why, { gate: 'approval', ruleId: 'R3' });
        }
        const { allowed } = guard.decide(
          caller,
          'ApproveRollout',
          resourceOf(rollout.id, rollout.definition),
          receivedAt,
        );
        if (!allowed) await refuseApproval(rollout, by, 'the policies do not permit it.', receivedAt);
      }
      const after = await changed(services, request, {
        action: 'ApproveRollout',
        eventOf: () => ({ kind: 'approve', by, digest: body.digest }),
        parts: ({ id }) => [
          alertPart(
            directory,
            {
              kind: AlertKind.ApprovalDecided,
              actor: by,
              summary: `${by} approved rollout ${id}, which ${rollout.submittedBy ?? rollout.createdBy} asked for.`,
              see: `/v1/rollouts/${id}`,
            },
            receivedAt,
          ),
        ],
      });
      return answered(services, after, request);
    }),

    rejectRollout: operation(rolloutOperations.rejectRollout, (request) =>
      plain(request, 'StopRollout', { kind: 'reject', by: actorOf(request.caller) }),
    ),

    startRollout: operation(rolloutOperations.startRollout, async (request) => {
      const { caller, path, receivedAt } = request;
      const seen = await requireRollout(services, path);
      if (seen.state === 'running') {
        guard.assertMay(caller, 'OperateRollout', resourceOf(seen.id, seen.definition), receivedAt);
      }
      const started =
        seen.state === 'running'
          ? seen
          : await changed(services, request, { action: 'OperateRollout', eventOf: () => ({ kind: 'start' }) });
      // Whoever starts it again repairs a start that ended between the table and the state machine.
      await startMachine(machineName(started.id), { rolloutId: started.id });
      return answered(services, started, request);
    }),

    pauseRollout: operation(rolloutOperations.pauseRollout, (request) =>
      plain(request, 'StopRollout', { kind: 'pause', by: 'operator', words: request.body.reason }),
    ),

    resumeRollout: operation(rolloutOperations.resumeRollout, (request) =>
      plain(request, 'OperateRollout', { kind: 'resume' }),
    ),

    skipRolloutSite: operation(rolloutOperations.skipRolloutSite, async (request) => {
      const { siteId, reason } = request.body;
      const after = await changed(services, request, {
        action: 'StopRollout',
        reason,
        // Who answers for the site decides on it, not who answers for another one of the rollout.
        sitesOf: async () => [siteId],
        async eventOf({ id, state }) {
          const sites = await listSiteSummaries(directory, id);
          if (!sites.some((site) => site.siteId === siteId)) {
            throw problems.conflict('The plan has no device of this site.', { state });
          }
          return { kind: 'skip-site', siteId };
        },
      });
      return answered(services, after, request);
    }),

    promoteWave: operation(rolloutOperations.promoteWave, async (request) => {
      const { caller, body, receivedAt } = request;
      const { wave, reason } = body;
      const after = await changed(services, request, {
        action: 'PromoteRollout',
        reason,
        parts: ({ id }) => [forgetMarkPart(directory, id, wave)],
        async eventOf(rollout) {
          const openedAt = rollout.waves[wave]?.openedAt;
          const bakeUntil = openedAt === undefined ? 0 : await bakeEnd(rollout, wave, openedAt);
          if (rollout.state === 'running') assertBaked(rollout, wave, bakeUntil, receivedAt.getTime());
          return {
            kind: 'wave',
            wave,
            event: { kind: 'promote-by-hand', by: actorOf(caller), reason, bakeUntil },
          };
        },
      });
      return answered(services, after, request);
    }),

    abortRollout: operation(rolloutOperations.abortRollout, (request) =>
      plain(request, 'StopRollout', { kind: 'abort' }),
    ),

    rollBackRollout: operation(rolloutOperations.rollBackRollout, async (request) => {
      const { body } = request;
      let over = false;
      const after = await changed(services, request, {
        action: 'RollBackRollout',
        reason: body.reason,
        eventOf({ state }) {
          over = state === 'completed' || state === 'aborted';
          return { kind: 'roll-back' };
        },
      });
      // The state machine of one that is over is over too: another one brings its devices back.
      if (over) await startMachine(backMachineName(after.id, 1), { rolloutId: after.id });
      return answered(services, after, request);
    }),

    reportSafetyEvent: operation(rolloutOperations.reportSafetyEvent, async (request) => {
      const { body, receivedAt } = request;
      const { deviceId, kind, words } = body;
      const after = await changed(services, request, {
        action: 'StopRollout',
        reason: words,
        sitesOf: (rollout) => sitesOfDevice(rollout, deviceId),
        async eventOf(rollout) {
          await assertTakesPart(rollout, deviceId);
          return { kind: 'safety', event: { deviceId, kind, at: timestamp(receivedAt.getTime()) } };
        },
        parts: (rollout) => [
          alertPart(
            directory,
            {
              ...rolloutAlert(AlertKind.RolloutStopped, rollout, kind, { deviceId }),
              actor: actorOf(request.caller),
            },
            receivedAt,
          ),
        ],
      });
      return answered(services, after, request);
    }),
  };

  async function bakeEnd(rollout: StoredRollout, wave: number, openedAt: string): Promise<number> {
    const summaries = await listSiteSummaries(directory, rollout.id);
    return bakeEndOf(new RolloutPlaces(directory, devices), rollout, summaries, wave, new Date(openedAt));
  }

  /** Harm on a device that the rollout has not touched is for others to look at; to be safe, it can still be paused. */
  async function assertTakesPart(rollout: StoredRollout, deviceId: string): Promise<void> {
    if ((await partOf(devices, rollout, deviceId)) !== undefined) return;
    throw problems.conflict('The rollout has not touched this device. Pause it if you are not sure.', {
      state: rollout.state,
    });
  }

  /** Where the device was when the rollout touched it, and where it is now: who stands beside it reports what it does. */
  async function sitesOfDevice(rollout: StoredRollout, deviceId: string): Promise<readonly string[] | undefined> {
    const [part, device] = await Promise.all([partOf(devices, rollout, deviceId), getDevice(devices, deviceId)]);
    if (part === undefined) return undefined;
    const { siteId } = part.execution;
    return [...new Set([siteId, device?.siteId ?? siteId])];
  }
}
