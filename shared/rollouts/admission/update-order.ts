import { canonicalJson } from '../../canonical-json.ts';
import { CommandType } from '../../commands/command.ts';
import type { Execution } from '../executions/execution.ts';
import type { Rollout } from '../rollout.ts';

/** A command that a rollout queues, as the command writer takes it. */
export interface UpdateOrder {
  readonly type: typeof CommandType.DownloadUpdate | typeof CommandType.ActivateUpdate;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** What of a rollout a command of it stands on. */
export type RolloutGrant = Pick<
  Rollout,
  'id' | 'state' | 'definition' | 'createdBy' | 'digest' | 'submittedBy' | 'approvedBy'
>;

/** The command that tells a device to fetch the artifact. Allowed in use. */
export function downloadOrder({ id, definition }: Pick<Rollout, 'id' | 'definition'>): UpdateOrder {
  const { kind, name, version, sha256, signature, url } = definition.artifact;
  return {
    type: CommandType.DownloadUpdate,
    parameters: {
      rolloutId: id,
      kind,
      name,
      version,
      sha256,
      signature,
      ...(url === undefined ? {} : { url }),
    },
  };
}

/** The command that tells a device to change to the artifact, or back to what it had before. */
export function activationOrder(
  { id, definition }: Pick<Rollout, 'id' | 'definition'>,
  direction: Execution['direction'],
): UpdateOrder {
  const { kind, name, version, sha256 } = definition.artifact;
  return {
    type: CommandType.ActivateUpdate,
    parameters: { rolloutId: id, kind, name, version, sha256, ...(direction === 'back' ? { back: true } : {}) },
  };
}

/**
 * Why a rollout does not stand for this command; undefined when it does: two people want it, it is under way, and the
 * command is exactly one of its own.
 */
export function flawOfGrant(rollout: RolloutGrant, { type, parameters }: UpdateOrder): string | undefined {
  const { id, state, createdBy, digest, submittedBy, approvedBy } = rollout;
  if (approvedBy === undefined || submittedBy === undefined) return 'nobody approved it';
  if (approvedBy === submittedBy || approvedBy === createdBy) return 'it has no second person';
  if (digest === undefined) return 'it has no plan that was approved';
  if (parameters['rolloutId'] !== id) return 'the command is of another rollout';
  const back = type === CommandType.ActivateUpdate && parameters['back'] === true;
  const states: readonly Rollout['state'][] = back ? ['rolling-back'] : ['running', 'soaking'];
  if (!states.includes(state)) return `it is ${state}`;
  const own =
    type === CommandType.DownloadUpdate ? downloadOrder(rollout) : activationOrder(rollout, back ? 'back' : 'forward');
  return canonicalJson(own.parameters) === canonicalJson(parameters)
    ? undefined
    : 'the command is for something else than its artifact';
}
