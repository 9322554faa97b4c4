import { CommandStatus, CommandType, isRolloutType, type StoredCommand } from '../../commands/command.ts';
import type { GateDecision } from '../../commands/gates/gate.ts';
import { interlockReason } from '../admission/admission.ts';
import { isGivenBack } from '../admission/given-back.ts';
import type { SafetyEvent } from '../gate/gate.ts';
import { DeferralReason } from './deferral.ts';
import { type Execution, type ExecutionEvent, FailureClass, isFinal } from './execution.ts';

/** A device that defers says until when, or is asked again after this, milliseconds: as the writer of commands does. */
const relook = 15 * 60_000;

/**
 * What becomes of an execution by what its command has come to; undefined when that is nothing new. A command's image
 * carries all that happened to it, so that one that comes twice, late or out of order changes nothing: it is for
 * another step than the device is in, or names a time that is over.
 *
 * @param now milliseconds since the epoch
 */
export function eventFor(execution: Execution, command: StoredCommand, now: number): ExecutionEvent | undefined {
  if (!isFor(execution, command)) return undefined;
  const downloads = command.type === CommandType.DownloadUpdate;
  if (isFinal(execution)) return returned(execution, command);
  if (downloads !== isFetching(execution)) return undefined;
  switch (command.status) {
    case CommandStatus.Acknowledged:
      return downloads ? { kind: 'staged', sha256: checksumOf(command) } : { kind: 'installed' };
    case CommandStatus.Verified:
      return downloads ? { kind: 'staged', sha256: checksumOf(command) } : { kind: 'verified' };
    case CommandStatus.Failed:
      return failure(execution, command.history.at(-1)?.reason);
    case CommandStatus.Deferred:
      return deferral(execution, command, now);
    case CommandStatus.Expired:
      return { kind: 'time-out' };
    case CommandStatus.Cancelled:
      return { kind: 'cancel', reason: command.history.at(-1)?.reason ?? 'Its command was cancelled.' };
    default:
      return undefined;
  }
}

/** Whether the command is one of this execution. */
function isFor({ rolloutId, direction, artifactKind }: Execution, { type, parameters }: StoredCommand): boolean {
  if (!isRolloutType(type)) return false;
  const back = parameters['back'] === true ? 'back' : 'forward';
  return parameters['rolloutId'] === rolloutId && parameters['kind'] === artifactKind && back === direction;
}

/** Whether it has yet to say that it has the artifact. */
function isFetching({ status }: Execution): boolean {
  return (
    status.state === 'planned' || status.state === 'queued' || (status.state === 'deferred' && status.from === 'queued')
  );
}

/** A device that was given up, and shows that it works. */
function returned(execution: Execution, { type, status, history }: StoredCommand): ExecutionEvent | undefined {
  if (type !== CommandType.ActivateUpdate || !execution.outOfService) return undefined;
  const works = status === CommandStatus.Verified || isRolledBack(history.at(-1)?.reason);
  return works ? { kind: 'returned' } : undefined;
}

/** The checksum that the device reckoned. One that says none has proved nothing, so it fails the comparison. */
function checksumOf({ detail }: StoredCommand): string {
  const said = membersOf(detail)['sha256'];
  return typeof said === 'string' ? said : '';
}

/** Words of devices for what went wrong (docs/protocols/agent.md), and what they mean here. */
const classes: ReadonlyMap<string, FailureClass> = new Map([
  ['download-failed', FailureClass.Download],
  ['not-found', FailureClass.Download],
  ['checksum-mismatch', FailureClass.Checksum],
  ['signature-invalid', FailureClass.Signature],
  ['not-enough-space', FailureClass.Space],
  ['storage-full', FailureClass.Space],
  ['install-failed', FailureClass.Install],
  ['self-test-failed', FailureClass.SelfTest],
  ['not-returned-to-service', FailureClass.Safety],
  ['alarm-path-lost', FailureClass.Safety],
]);

/** What devices say when a person at the device said no. */
const rejections: ReadonlySet<string> = new Set(['rejected', 'rejected-by-user', 'declined']);

const isRolledBack = (reason = ''): boolean => reason === 'rolled-back' || reason.endsWith('-rolled-back');

/** What devices say when they had nothing to begin with: they work as before. */
const untouched: ReadonlySet<string> = new Set(['not-staged', 'unsupported']);

function failure({ status }: Execution, reason = ''): ExecutionEvent {
  if (rejections.has(reason) && status.state !== 'verifying') return { kind: 'rejected', reason };
  // Before it was activated there is nothing to go back from.
  const activated = status.state === 'activating' || status.state === 'verifying';
  if (isRolledBack(reason) && activated) return { kind: 'rolled-back' };
  const failed = { kind: 'failed', class: classes.get(reason) ?? FailureClass.Other } as const;
  return untouched.has(reason) && status.state === 'activating' ? { ...failed, untouched: true } : failed;
}

/** Why the device waits, and until when: by its own word, or because a gate said so. */
function deferral(execution: Execution, command: StoredCommand, now: number): ExecutionEvent | undefined {
  const last = command.history.at(-1);
  // What a gate said when the command was stored is no word on the device, which is asked to come for that very reason.
  if (last === undefined || (command.history.length === 2 && last.at === command.createdAt)) return undefined;
  const wanted = Date.parse(command.deferredUntil ?? last.until ?? '');
  // Without a time it would wait for ever.
  const until = Number.isNaN(wanted) ? now + relook : wanted;
  const decision = command.decisions?.findLast(({ gate, reason }) => gate === last.source && reason === last.reason);
  const reason = deferralReason(last.source, last.reason ?? '', decision);
  if (execution.status.state === 'activating') {
    return isGivenBack(last, execution.since)
      ? { kind: 'given-back', reason, until: Math.max(until, now + 60_000) }
      : undefined;
  }
  return until > now ? { kind: 'defer', reason, until } : undefined;
}

function deferralReason(source: string, words: string, decision: GateDecision | undefined): DeferralReason {
  switch (source) {
    case 'brake':
      return DeferralReason.Brake;
    case 'interlock':
      return decision === undefined ? DeferralReason.InUse : interlockReason(decision);
    case 'admission':
      return reasons.find((reason) => decision?.inputs.some(({ value }) => value === reason)) ?? DeferralReason.Wave;
    default:
      return words.startsWith('battery') ? DeferralReason.Battery : DeferralReason.InUse;
  }
}

const reasons: readonly DeferralReason[] = Object.values(DeferralReason);

/**
 * What a result says that must not happen even once: as the reason of a failure, or, with any result, as `safety` in
 * its detail. Undefined for all others.
 */
export function safetyOf(command: StoredCommand): SafetyEvent | undefined {
  if (command.type !== CommandType.ActivateUpdate) return undefined;
  const last = command.history.at(-1);
  const said = [last?.status === CommandStatus.Failed ? last.reason : undefined, membersOf(command.detail)['safety']];
  const kind = said.find((word) => word === 'alarm-path-lost' || word === 'not-returned-to-service');
  if (kind === undefined || last === undefined) return undefined;
  return { deviceId: command.deviceId, kind, at: last.at } as SafetyEvent;
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
