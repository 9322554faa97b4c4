import { type AuditRecord, auditRecord } from '../../../../shared/audit/record.ts';
import { changeRecord } from '../../../../shared/rollouts/change-record.ts';
import { judge } from '../../../../shared/rollouts/gate/gate.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import { advanceRollout, draftRollout, type Rollout, type RolloutEvent } from '../../../../shared/rollouts/rollout.ts';
import { timelineEntry } from '../../../../shared/rollouts/timeline.ts';
import { isVisible } from '../../../../shared/rollouts/visible.ts';

const start = Date.parse('2027-03-01T03:00:00Z');
const waves = defaultWaves(['u-lab']);
const draft = draftRollout(
  'ro-1',
  {
    name: 'Pumps to 2.0',
    artifact: { kind: 'firmware', name: 'pump', version: '2.0', sha256: 'a'.repeat(64), signature: 'c2ln' },
    ...{ selection: {}, waves, order: 'pilot-first', onStop: 'pause', wayBack: 'USB stick', soakHours: 24 },
  },
  'user:ada',
  start,
);

/** What these events leave behind, each by whoever causes it. */
function trail(...steps: (readonly [actor: string, event: RolloutEvent, reason?: string])[]): string[] {
  let rollout: Rollout = draft;
  return steps.map(([actor, event, reason], index) => {
    const at = start + index * 1_000;
    const next = advanceRollout(rollout, event, rollout.version, at);
    if (!next.ok) throw new Error(next.reason);
    const changer = { actor, ...(reason === undefined ? {} : { reason }) };
    const record = changeRecord(rollout, next.value, event, changer, new Date(at));
    expect(record).toMatchObject({ pk: 'ROLLOUT#ro-1', resource: 'rollout/ro-1', outcome: 'allowed', actor });
    rollout = next.value;
    return timelineEntry(record, () => true)?.words ?? '';
  });
}

const planned = { kind: 'planned', digest: 'd', devices: [4, 0, 20, 0, 100] } as const;
const approveUntil = start + 3_600_000;
const begun = [
  ['system:plan-rollout', planned],
  ['user:ada', { kind: 'submit', by: 'user:ada', approveUntil }],
  ['user:bea', { kind: 'approve', by: 'user:bea', digest: 'd' }],
  ['user:ada', { kind: 'start' }],
] as const;

test('the timeline of a rollout can be read without knowing its states', () => {
  const [gate] = waves.map((wave) => wave.gate);
  if (gate === undefined) throw new Error('no wave');
  const nothing = { success: 0, failure: 0 };
  const failed = { success: 1, failure: 3 };
  const judgement = judge(
    {
      fetching: { fetched: 4, download: 0, space: 0 },
      ...{ reported: failed, silence: nothing, pooled: { reported: failed, silence: nothing } },
      ...{ strata: {}, safety: [], control: [] },
    },
    gate,
    start,
  );
  expect(
    trail(
      ...begun,
      ['system:rollout-tick', { kind: 'wave', wave: 0, event: { kind: 'windows-closed', until: approveUntil } }],
      ['system:rollout-tick', { kind: 'wave', wave: 0, event: { kind: 'window-opened' } }],
      ['user:hal', { kind: 'pause', by: 'operator', words: 'A go-live.' }, 'A go-live.'],
      ['user:ada', { kind: 'resume' }],
      ['user:hal', { kind: 'skip-site', siteId: 's-3' }, 'The ward moves'],
      [
        'system:rollout-progress',
        { kind: 'wave', wave: 0, event: { kind: 'judged', judgement, bakeUntil: 0, waiting: 0 } },
      ],
      ['user:ada', { kind: 'roll-back' }, 'Two pumps were bricked.'],
      ['system:rollout-tick', { kind: 'rolled-back', unfinished: 0, failed: 2 }],
    ),
  ).toEqual([
    'system:plan-rollout planned 124 devices in 3 waves. It is now planned.',
    'user:ada submitted it; another person must approve it until 2027-03-01T04:00:00.000Z. It is now awaiting-approval.',
    'user:bea approved the plan. It is now scheduled.',
    'user:ada started it. Wave "Lab" is admitting. It is now running.',
    'system:rollout-tick found all places of the wave closed. Wave "Lab" is window-wait until 2027-03-01T04:00:00.000Z.',
    'system:rollout-tick found a place of the wave open. Wave "Lab" is admitting.',
    'user:hal paused it: A go-live. It is now paused.',
    'user:ada resumed it. It is now running.',
    'user:hal left out site s-3. Reason: The ward moves.',
    `system:rollout-progress judged the wave. Wave "Lab" is failed: ${judgement.words} It is now paused.`,
    'user:ada began the way back. Reason: Two pumps were bricked. It is now rolling-back.',
    'system:rollout-tick found that 2 devices did not get back. It is now rollback-partial.',
  ]);
});

test('what a person promoted, reported and aborted is told as theirs', () => {
  expect(
    trail(
      ...begun,
      [
        'user:ada',
        {
          ...{ kind: 'wave', wave: 0 },
          event: { kind: 'promote-by-hand', by: 'user:ada', reason: 'Four pumps are all we have.', bakeUntil: start },
        },
        'Four pumps are all we have.',
      ],
      [
        'user:nil',
        { kind: 'safety', event: { deviceId: 'd-7', kind: 'harm-reported', at: '2027-03-01T03:00:00.000Z' } },
        'The alarm was late.',
      ],
      ['user:hal', { kind: 'abort' }, 'Over.'],
    ).slice(4),
  ).toEqual([
    'user:ada promoted a wave by hand. Reason: Four pumps are all we have. Wave "Lab" is promoted: Four pumps are all we have. Wave "One unit" is skipped. Wave "One site" is admitting.',
    'user:nil reported of d-7: harm-reported. Reason: The alarm was late. It is now paused.',
    'user:hal aborted it; what is being activated is finished first. Reason: Over. It is now aborting.',
  ]);
});

const record = (more: Partial<AuditRecord>): AuditRecord =>
  auditRecord(
    'ROLLOUT#ro-1',
    { actor: 'user:x', action: 'ApproveRollout', resource: 'rollout/ro-1', outcome: 'allowed', ...more },
    new Date(start),
  );

test('attempts that were refused say why, and what is not known is named', () => {
  expect(timelineEntry(record({ outcome: 'denied', reason: 'No policy permits it.' }), () => true)?.words).toBe(
    'user:x tried ApproveRollout and was denied: No policy permits it.',
  );
  expect(timelineEntry(record({ action: 'PaintRollout', after: { waves: 'blue' } }), () => true)?.words).toBe(
    'user:x PaintRollout.',
  );
});

describe('whoever may look at one site only', () => {
  const [own, other] = [`s-${'a'.repeat(26)}`, `s-${'b'.repeat(26)}`];
  const shown = (more: Partial<AuditRecord>) => timelineEntry(record(more), (siteId) => siteId === own)?.words;

  test('is told that another one was left out, and that it stopped, but not what happened there', () => {
    const skipped = { action: 'SkipSite', after: { state: 'running', site: other }, reason: 'It burns.' };
    expect(shown({ ...skipped, siteId: other })).toBe('user:x left out another site.');
    expect(shown({ ...skipped, siteId: own })).toContain('It burns.');
    const harm = { action: 'ReportSafetyEvent', before: { state: 'running' }, reason: 'The nurse call stayed dark.' };
    const after = { state: 'paused', deviceId: 'd-7', kind: 'alarm-path-lost' };
    expect(shown({ ...harm, after, siteId: other })).toBe(
      'user:x reported a safety event at another site. It is now paused.',
    );
  });

  test('is not told of single devices there, nor of attempts', () => {
    expect(shown({ action: 'ReturnDevice', siteId: other, after: { deviceId: 'd-7' } })).toBeUndefined();
    expect(shown({ action: 'ReturnDevice', siteId: own, after: { deviceId: 'd-7' } })).toContain('d-7');
    expect(shown({ action: 'SkipSite', siteId: other, outcome: 'denied' })).toBeUndefined();
  });

  test('reads what the gate says without the names of others', () => {
    const waves = [{ name: 'The rest', state: 'held', words: `site:${other}: 4 of 5 devices failed.` }];
    expect(shown({ action: 'JudgeWave', after: { waves } })).toContain('is held: another site: 4 of 5');
    expect(isVisible(`site:${other}`, (siteId) => siteId === own)).toBe(false);
    expect(['hardware:B', `site:${own}`, `${own}/B/T2`].every((of) => isVisible(of, (id) => id === own))).toBe(true);
  });
});
