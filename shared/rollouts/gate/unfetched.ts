import { AlertKind } from '../../alerts/alert.ts';
import { raise } from '../../alerts/store.ts';
import type { Table } from '../../aws/dynamodb.ts';
import { engineActor } from '../engine.ts';
import type { Rollout } from '../rollout.ts';
import { fetchTest } from './gate.ts';
import { Verdict } from './sprt.ts';
import { evidenceFrom, type WaveTally } from './tally.ts';

/**
 * Tells people of promoted waves whose devices cannot fetch the artifact, once for each: no gate holds them any more, and
 * one device after the other gives up. No request while all is well.
 */
export async function tellUnfetched(
  directory: Table,
  { id, state, waves, definition }: Rollout,
  tallies: readonly WaveTally[],
  now: Date,
): Promise<void> {
  for (const [wave, { status }] of waves.entries()) {
    const settings = definition.waves[wave]?.gate;
    if (status.state !== 'promoted' || settings === undefined) continue;
    const { verdict, tally } = fetchTest(evidenceFrom(tallies, wave).fetching, settings);
    if (verdict !== Verdict.Stop) continue;
    const alert = {
      kind: AlertKind.RolloutUnfetched,
      actor: engineActor,
      summary: `Rollout ${id} goes on, but ${tally.failure} devices of a promoted wave could not fetch the artifact.`,
      see: `/v1/rollouts/${id}`,
      details: { rolloutId: id, state, wave, devices: tally.failure },
    };
    await raise(directory, alert, now, `rollout-unfetched#${id}#${wave}`);
  }
}
