import { AlertKind, alertPart } from '../alerts/alert.ts';
import { changeRollout } from './change-rollout.ts';
import type { Engine } from './engine.ts';
import type { SafetyEvent } from './gate.ts';
import { rolloutAlert } from './judge-wave.ts';

/**
 * Stops a rollout for something that must not happen even once. The same event again, as messages come twice, changes
 * nothing; nor does another one once the rollout was stopped: it shows in the device's own execution.
 */
export async function stopForSafety(engine: Engine, rolloutId: string, event: SafetyEvent, now: Date): Promise<void> {
  await changeRollout(
    engine,
    rolloutId,
    ({ stopped }) => {
      if (stopped !== undefined) return undefined;
      const { deviceId, kind } = event;
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
}
