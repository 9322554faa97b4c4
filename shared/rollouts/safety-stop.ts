import { AlertKind, alertPart } from '../alerts/alert.ts';
import { raise } from '../alerts/store.ts';
import { changeRollout } from './change-rollout.ts';
import type { Engine } from './engine.ts';
import type { SafetyEvent } from './gate/gate.ts';
import { rolloutAlert } from './gate/judge-wave.ts';
import { type Rollout, rolloutOrigins, stoppedBy } from './rollout.ts';

/**
 * Stops a rollout for something that must not happen even once. The same event again, as messages come twice, changes
 * nothing; nor does another one once the rollout was stopped: it shows in the device's own execution. Where there is
 * nothing to stop any more (it is aborted, goes back, or is over), people are told of the device, once.
 */
export async function stopForSafety(engine: Engine, rolloutId: string, event: SafetyEvent, now: Date): Promise<void> {
  const { deviceId, kind } = event;
  let past = undefined as Rollout | undefined;
  await changeRollout(
    engine,
    rolloutId,
    (rollout) => {
      past = rolloutOrigins.safety.includes(rollout.state) ? undefined : rollout;
      if (rollout.stopped !== undefined || past !== undefined) return undefined;
      return {
        event: { kind: 'safety', event },
        reason: 'One such event stops.',
        parts: (after) => [
          alertPart(engine.directory, rolloutAlert(AlertKind.RolloutStopped, after, kind, { deviceId }), now),
        ],
      };
    },
    now,
  );
  // The event that stopped it was told when it did.
  if (past === undefined || past.stopped === stoppedBy(event)) return;
  const alert = rolloutAlert(AlertKind.RolloutStopped, past, kind, { deviceId });
  const summary = `A device of rollout ${rolloutId}, which is ${past.state}, says ${kind}.`;
  await raise(engine.directory, { ...alert, summary }, now, `rollout-safety#${rolloutId}#${deviceId}#${event.at}`);
}
