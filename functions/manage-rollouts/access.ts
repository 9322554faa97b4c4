import { type ApiRequest, parameter } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import type { Caller } from '../../shared/identity/caller.ts';
import { organization, type Resource, rolloutResource, siteResource } from '../../shared/identity/resource.ts';
import { getControl } from '../../shared/rollouts/gate/control-store.ts';
import { listTallies } from '../../shared/rollouts/gate/tally-store.ts';
import type { RolloutDefinition } from '../../shared/rollouts/rollout.ts';
import { getRollout, type StoredRollout } from '../../shared/rollouts/rollout-store.ts';
import { rolloutView } from '../../shared/rollouts/view.ts';
import type { ReadsSite } from '../../shared/rollouts/visible.ts';
import type { Services } from './services.ts';

/** The rollout of the path, or 404. */
export async function requireRollout(
  { directory }: Pick<Services, 'directory'>,
  path: Readonly<Record<string, string>>,
): Promise<StoredRollout> {
  const rollout = await getRollout(directory, parameter(path, 'rolloutId'));
  if (rollout === undefined) throw problems.notFound('There is no rollout with this id.');
  return rollout;
}

/** The rollout of the path, if the caller may read it. */
export async function readableRollout(
  services: Pick<Services, 'directory' | 'guard'>,
  caller: Caller,
  path: Readonly<Record<string, string>>,
  now: Date,
): Promise<StoredRollout> {
  const rollout = await requireRollout(services, path);
  services.guard.assertMay(caller, 'ReadRollout', resourceOf(rollout.id, rollout.definition), now);
  return rollout;
}

/** What the policies decide on. */
export const resourceOf = (id: string, { selection }: Pick<RolloutDefinition, 'selection'>): Resource =>
  rolloutResource({ id, siteIds: selection.siteIds, classes: selection.classes });

/** Whether the caller may look at devices of the site; those without a site are seen by whoever may look everywhere. */
export const readsSite = ({ guard }: Pick<Services, 'guard'>, caller: Caller, siteId: string, now: Date): boolean =>
  guard.decide(caller, 'ReadPlace', siteId === '' ? organization() : siteResource(siteId), now).allowed;

/** The same for many sites, each decided once. */
export function sitesReader(services: Pick<Services, 'guard'>, caller: Caller, now: Date): ReadsSite {
  const known = new Map<string, boolean>();
  return (siteId) => {
    const reads = known.get(siteId) ?? readsSite(services, caller, siteId, now);
    known.set(siteId, reads);
    return reads;
  };
}

/** Who looks at a rollout, and when. */
export type Reader = Pick<ApiRequest<unknown, unknown>, 'caller' | 'receivedAt'>;

/** The rollout with its progress, as the API shows it to this reader. Before it has begun there is nothing to count. */
export async function viewOf(
  services: Pick<Services, 'directory' | 'guard'>,
  rollout: StoredRollout,
  { caller, receivedAt }: Reader,
): Promise<ReturnType<typeof rolloutView>> {
  const { directory } = services;
  const reads = sitesReader(services, caller, receivedAt);
  const now = receivedAt.getTime();
  const begun = rollout.waves.flatMap(({ openedAt }, wave) => (openedAt === undefined ? [] : [wave]));
  if (begun.length === 0) return rolloutView(rollout, { tallies: [], control: new Map() }, reads, now);
  const [tallies, ...samples] = await Promise.all([
    listTallies(directory, rollout.id),
    ...begun.map((wave) => getControl(directory, rollout.id, wave)),
  ]);
  const control = new Map(begun.map((wave, index) => [wave, samples[index]?.comparisons ?? []]));
  return rolloutView(rollout, { tallies, control }, reads, now);
}
