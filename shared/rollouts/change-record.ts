import type { AuditEntry, AuditItem } from '../audit/record.ts';
import { auditRecord } from '../audit/record.ts';
import type { WaveStatus } from './gate/wave.ts';
import { rolloutPartition } from './keys.ts';
import type { Rollout, RolloutEvent } from './rollout.ts';

/** Who changes a rollout, and why. */
export type Changer = Pick<AuditEntry, 'actor'> & Partial<Pick<AuditEntry, 'policyIds' | 'reason' | 'siteId'>>;

/** How each event is called in the audit trail. */
const actions: Readonly<Record<Exclude<RolloutEvent['kind'], 'wave'>, string>> = {
  edit: 'EditRollout',
  planned: 'PlanRollout',
  submit: 'SubmitRollout',
  approve: 'ApproveRollout',
  reject: 'RejectRollout',
  expire: 'ExpireRollout',
  start: 'StartRollout',
  pause: 'PauseRollout',
  resume: 'ResumeRollout',
  'skip-site': 'SkipSite',
  alarm: 'StopPromoted',
  safety: 'ReportSafetyEvent',
  soaked: 'CompleteRollout',
  abort: 'AbortRollout',
  settled: 'SettleRollout',
  'roll-back': 'RollBackRollout',
  'rolled-back': 'FinishRollBack',
  supersede: 'SupersedeRollout',
};

const waveActions: Readonly<Record<Extract<RolloutEvent, { kind: 'wave' }>['event']['kind'], string>> = {
  judged: 'JudgeWave',
  'promote-by-hand': 'PromoteWave',
  'windows-closed': 'WaitForWindow',
  'window-opened': 'OpenWindow',
  'left-out': 'SkipWave',
};

/**
 * The audit record of a change of a rollout, for the transaction of the change. The records of a rollout are its
 * timeline (`timeline.ts`), whoever changed it.
 */
export function changeRecord(
  before: Rollout,
  after: Rollout,
  event: RolloutEvent,
  changer: Changer,
  at: Date,
): AuditItem {
  return auditRecord(
    rolloutPartition(after.id),
    {
      ...changer,
      action: event.kind === 'wave' ? waveActions[event.event.kind] : actions[event.kind],
      resource: `rollout/${after.id}`,
      outcome: 'allowed',
      before: { state: before.state },
      after: { state: after.state, ...factsOf(after, event), ...wavesOf(before, after) },
    },
    at,
  );
}

/** What of the event is not to be seen in the rollout afterwards, or is worth a line of its own. */
function factsOf(after: Rollout, event: RolloutEvent): Readonly<Record<string, unknown>> {
  switch (event.kind) {
    case 'edit': {
      const { name, artifact } = after.definition;
      return { name, artifact: `${artifact.kind} ${artifact.name} ${artifact.version}` };
    }
    case 'planned':
      return { digest: event.digest, devices: event.devices };
    case 'submit':
      return { digest: after.digest, approveUntil: after.approveUntil };
    case 'approve':
      return { digest: event.digest };
    case 'skip-site':
      return { site: event.siteId };
    case 'alarm':
      return { wave: event.wave, words: event.words };
    case 'safety':
      return { deviceId: event.event.deviceId, kind: event.event.kind };
    case 'pause':
      return { by: event.by, words: event.words };
    case 'rolled-back':
      return { failed: event.failed };
    default:
      return {};
  }
}

/** The waves that the change moved on, with the words of who decided: the gate, or a person. */
function wavesOf(before: Rollout, after: Rollout): { readonly waves?: readonly Readonly<Record<string, unknown>>[] } {
  const moved = after.waves.flatMap((wave, index) => {
    const was = before.waves[index]?.status;
    const { status } = wave;
    const same = JSON.stringify(was) === JSON.stringify(status);
    // A plan puts all of them to their beginning, which is no news.
    if (same || status.state === 'pending') return [];
    const words = wordsOf(status);
    const until =
      status.state === 'window-wait' ? status.until : status.state === 'baking' ? wave.bakeUntil : undefined;
    return [
      {
        wave: index,
        name: wave.name,
        state: status.state,
        ...(words === undefined ? {} : { words }),
        ...(until === undefined ? {} : { until }),
      },
    ];
  });
  return moved.length === 0 ? {} : { waves: moved };
}

const wordsOf = (status: WaveStatus): string | undefined => ('words' in status ? status.words : undefined);
