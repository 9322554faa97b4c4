import { unitBudget } from '../../shared/rollouts/admission/admission.ts';
import { countOfClass, readAway } from '../../shared/rollouts/admission/spares-store.ts';
import { isFinal } from '../../shared/rollouts/executions/execution.ts';
import type { StoredExecution } from '../../shared/rollouts/executions/execution-store.ts';
import { explain, type Surroundings } from '../../shared/rollouts/explain.ts';
import { RolloutPlaces } from '../../shared/rollouts/places.ts';
import type { StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import type { Services } from './services.ts';

/**
 * Shows devices of a rollout as the API does, with what they wait for. What is around devices of the same unit and class
 * is read once.
 */
export function deviceViewer(
  { devices, directory }: Pick<Services, 'devices' | 'directory'>,
  rollout: StoredRollout,
  now: Date,
): (execution: StoredExecution) => Promise<ReturnType<typeof viewOf>> {
  const places = new RolloutPlaces(directory, devices);
  const known = new Map<string, Promise<Surroundings>>();
  return async (execution) => viewOf(execution, rollout, await around(execution), now);

  function around(execution: StoredExecution): Promise<Surroundings> {
    const { siteId, unitId, class: deviceClass } = execution;
    // Nothing around it is told of a device that does not wait.
    if (isFinal(execution)) return Promise.resolve({ calendar: undefined, budget: 0, away: 0 });
    const key = `${siteId} ${unitId} ${deviceClass}`;
    const reading = known.get(key) ?? read({ siteId, unitId, class: deviceClass });
    known.set(key, reading);
    return reading;
  }

  async function read(place: Pick<StoredExecution, 'siteId' | 'unitId' | 'class'>): Promise<Surroundings> {
    const [unit, inUnit, away] = await Promise.all([
      places.unit(place.siteId, place.unitId),
      countOfClass(devices, place),
      readAway(directory, place, now),
    ]);
    const budget = unitBudget({ devices: inUnit, keep: unit?.spares?.[place.class] });
    return { calendar: unit?.calendar, budget, away: Object.keys(away).length };
  }
}

function viewOf(execution: StoredExecution, rollout: StoredRollout, around: Surroundings, now: Date) {
  const { deviceId, siteId, unitId, wave, rank, direction, status, since, outOfService, commandId } = execution;
  return {
    ...{
      deviceId,
      siteId,
      unitId,
      class: execution.class,
      wave,
      rank,
      direction,
      state: status.state,
      since,
      outOfService,
    },
    ...(commandId === undefined ? {} : { commandId }),
    ...explain(execution, rollout, around, now.getTime()),
  };
}
