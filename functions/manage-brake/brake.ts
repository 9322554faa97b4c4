import { type Alert, AlertKind, alertPart } from '../../shared/alerts/alert.ts';
import { auditRecord } from '../../shared/audit/record.ts';
import type { Table } from '../../shared/aws/dynamodb.ts';
import {
  type Brake,
  type BrakePlace,
  BrakeScope,
  nameOfPlace,
  placeOf,
  releaseStep,
} from '../../shared/brake/brake.ts';
import { brakeOperations } from '../../shared/brake/operations.ts';
import { deleteBrake, getBrake, listBrakes, putBrake } from '../../shared/brake/store.ts';
import type { WakeHeld } from '../../shared/commands/wake-held.ts';
import { operation } from '../../shared/http/api.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import { organization, type Resource, siteResource, unitResource } from '../../shared/identity/resource.ts';
import { assertPlace } from '../../shared/places/assert-place.ts';
import { organizationPartition, sitePartition } from '../../shared/places/store.ts';

/** What the operations on the brake work with. */
export interface Services {
  readonly directory: Table;
  readonly guard: Guard;
  /** Has the devices woken whose commands the brake held. Never fails: they come by themselves as well. */
  readonly wakeHeld: WakeHeld;
}

/** Tries of a change that somebody else was faster with. */
const tries = 10;

/** The operations on the brake. */
export function brakeHandlers({ directory, guard, wakeHeld }: Services) {
  return {
    listBrakes: operation(brakeOperations.listBrakes, async ({ caller, receivedAt }) => {
      guard.assertMay(caller, 'ReadBrake', organization(), receivedAt);
      return { body: { items: (await listBrakes(directory)).map(viewOf) } };
    }),

    pullBrake: operation(brakeOperations.pullBrake, async ({ caller, body, receivedAt }) => {
      const place = placeOf(body);
      const permit = await guard.permit(caller, 'PullBrake', resourceOf(place), partitionOf(place), receivedAt);
      await assertPlace(directory, place);
      const at = receivedAt.toISOString();
      for (let tried = 0; tried < tries; tried += 1) {
        const seen = await getBrake(directory, place);
        if (seen !== undefined && seen.release === undefined) return { body: viewOf(seen) };
        const brake: Brake =
          seen === undefined
            ? { ...place, reason: body.reason, pulledBy: actorOf(caller), pulledAt: at, version: 1 }
            : withoutRelease(seen);
        const entry = { ...permit, reason: body.reason, after: { brake: 'pulled', ...place } };
        const audit = auditRecord(partitionOf(place), entry, receivedAt);
        const alert = alertPart(directory, alertOf(AlertKind.BrakePulled, brake, actorOf(caller)), receivedAt);
        if (await putBrake(directory, brake, seen, audit, alert)) return { body: viewOf(brake) };
      }
      throw problems.unavailable('The brake is being changed by others at the same moment.', 1);
    }),

    releaseBrake: operation(brakeOperations.releaseBrake, async ({ caller, body, receivedAt }) => {
      const place = placeOf(body);
      const permit = await guard.permit(caller, 'ReleaseBrake', resourceOf(place), partitionOf(place), receivedAt);
      for (let tried = 0; tried < tries; tried += 1) {
        const seen = await getBrake(directory, place);
        if (seen === undefined) throw problems.notFound(`The brake is not pulled for ${nameOfPlace(place)}.`);
        const step = releaseStep(seen, actorOf(caller), body.reason, receivedAt);
        if (step.step === 'refused') throw problems.conflict(step.reason);
        const people = [seen.release?.by, actorOf(caller)].filter((person) => person !== undefined);
        const after = step.step === 'released' ? { brake: 'released', by: people } : { brake: 'release requested' };
        const entry = { ...permit, reason: body.reason, after: { ...after, ...place } };
        const audit = auditRecord(partitionOf(place), entry, receivedAt);
        const kind = step.step === 'released' ? AlertKind.BrakeReleased : AlertKind.BrakeReleaseRequested;
        const alert = alertPart(directory, alertOf(kind, seen, actorOf(caller)), receivedAt);
        const done =
          step.step === 'released'
            ? await deleteBrake(directory, seen, audit, alert)
            : await putBrake(directory, step.brake, seen, audit, alert);
        if (!done) continue;
        if (step.step !== 'released') return { body: { state: 'pulled', brake: viewOf(step.brake) } };
        await wakeHeld(place);
        return { body: { state: 'released', brake: viewOf(seen) } };
      }
      throw problems.unavailable('The brake is being changed by others at the same moment.', 1);
    }),
  };
}

function viewOf(brake: Brake) {
  const { version: _version, ...view } = brake;
  return view;
}

/** Somebody pulled it again: whoever had asked for its release must ask anew. */
function withoutRelease(brake: Brake): Brake {
  const { release: _release, ...rest } = brake;
  return { ...rest, version: brake.version + 1 };
}

function resourceOf({ scope, siteId, unitId }: BrakePlace): Resource {
  if (scope === BrakeScope.Network || siteId === undefined) return organization();
  return unitId === undefined ? siteResource(siteId) : unitResource(siteId, unitId);
}

/** The audit trail of the place that the brake is for. */
const partitionOf = ({ siteId }: BrakePlace): string =>
  siteId === undefined ? organizationPartition : sitePartition(siteId);

const verbs: Partial<Record<AlertKind, string>> = {
  [AlertKind.BrakePulled]: 'pulled the brake for',
  [AlertKind.BrakeReleaseRequested]: 'asks for the release of the brake for',
  [AlertKind.BrakeReleased]: 'released, as the second person, the brake for',
};

function alertOf(kind: AlertKind, place: BrakePlace, actor: string): Omit<Alert, 'id' | 'at'> {
  return {
    kind,
    actor,
    summary: `${actor} ${verbs[kind]} ${nameOfPlace(place)}.`,
    see: '/v1/brake',
    ...(place.siteId === undefined ? {} : { siteId: place.siteId }),
    ...(place.unitId === undefined ? {} : { unitId: place.unitId }),
  };
}
