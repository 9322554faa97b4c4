import { ProblemError } from '../../../../shared/http/problem.ts';
import { assertBaked, assertPlanned, type Deed, planningOf, refusalOf } from '../../../../shared/rollouts/manage.ts';
import { advanceRollout, type RolloutEvent, type RolloutState } from '../../../../shared/rollouts/rollout.ts';
import { wordsOf } from '../../../../shared/rollouts/view.ts';
import { rolloutBegin, storedRollout } from '../../../support/rollouts.ts';

const now = rolloutBegin;
const rollout = (state: RolloutState, more: object = {}) => ({ ...storedRollout('ro-1'), state, ...more });

function refusal(state: RolloutState, event: RolloutEvent & { readonly kind: Deed }, more: object = {}): string {
  const from = rollout(state, more);
  const outcome = advanceRollout(from, event, from.version, now);
  if (outcome.ok) throw new Error('was not refused');
  const { problem } = refusalOf(from, event.kind, outcome);
  expect(problem).toMatchObject({ status: 409, state });
  return problem.detail ?? '';
}

const problemOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  return undefined;
};

describe('refusalOf', () => {
  test('says in which states it would be possible', () => {
    expect(refusal('draft', { kind: 'start' })).toBe(
      'The rollout is draft and cannot be started; that is possible while it is scheduled.',
    );
    expect(refusal('completed', { kind: 'pause', by: 'operator', words: 'x' })).toBe(
      'The rollout is completed and cannot be paused; that is possible while it is running, soaking or paused.',
    );
  });

  test('gives the words of the rule when the state would allow it', () => {
    const paused = { paused: { by: 'operator', words: 'x', from: 'running' } };
    expect(refusal('paused', { kind: 'pause', by: 'operator', words: 'y' }, paused)).toBe('It is paused already.');
    expect(refusal('paused', { kind: 'resume' }, { stopped: 'Three failed.' })).toContain(
      'It was stopped: Three failed.',
    );
  });
});

describe('Planning', () => {
  test('is asked for before the approval only, and is not submitted before it is done', () => {
    const planning = planningOf(rollout('planned', { plan: { state: 'done', sites: 1, devices: 2, ineligible: 0 } }));
    expect(planning).toMatchObject({ state: 'planned', plan: { state: 'planning' }, version: 2 });
    expect(problemOf(() => planningOf(rollout('running')))).toMatchObject({ status: 409 });
    expect(problemOf(() => assertPlanned(planning))).toMatchObject({ status: 409 });
    expect(problemOf(() => assertPlanned(rollout('planned')))).toBeUndefined();
  });
});

describe('assertBaked', () => {
  test('says until when a wave bakes', () => {
    const waves = [{ name: 'Lab', devices: 2, status: { state: 'admitting' } }];
    const running = rollout('running', { waves });
    expect(problemOf(() => assertBaked(running, 0, now, now))).toBeUndefined();
    expect(problemOf(() => assertBaked(running, 0, now + 1_000, now))).toMatchObject({
      detail: '"Lab" bakes until 2027-03-02T20:00:01.000Z; nobody promotes it before.',
      until: '2027-03-02T20:00:01.000Z',
    });
  });
});

test('each state says in words where the rollout is and what it waits for', () => {
  const wave = (status: object, more: object = {}) => ({ waves: [{ name: 'Lab', devices: 2, status, ...more }] });
  const cases: readonly (readonly [RolloutState, object, string])[] = [
    ['draft', {}, 'Plan it'],
    ['draft', { plan: { state: 'planning' } }, 'being planned'],
    ['draft', { plan: { state: 'failed', problem: 'No device is selected.' } }, 'No device is selected.'],
    ['planned', {}, 'submit it'],
    ['planned', { plan: { state: 'planning' } }, 'planned again'],
    ['awaiting-approval', { approveUntil: 'Friday' }, 'until Friday'],
    ['scheduled', { approvedBy: 'user:bea' }, 'Approved by user:bea'],
    ['running', wave({ state: 'admitting' }), '"Lab": 2 devices'],
    ['running', wave({ state: 'held', words: '5 more must come through.' }), 'held. 5 more must come through.'],
    ['running', wave({ state: 'baking' }, { bakeUntil: 'Sunday' }), 'baking until Sunday'],
    ['running', wave({ state: 'window-wait', until: 'night' }), 'opens at night'],
    ['soaking', { soakUntil: 'Monday' }, 'watched until Monday'],
    ['paused', { paused: { by: 'freeze', words: 'Holidays.' } }, 'Paused by freeze: Holidays.'],
    ['paused', { stopped: 'Three failed.' }, 'roll back, abort, or clone'],
    ['aborting', {}, 'is finished'],
    ['rolling-back', { stopped: 'Three failed.' }, 'Three failed.'],
    ['completed', {}, 'Completed'],
    ['aborted', {}, 'rolled back'],
    ['rollback-partial', {}, 'not all'],
    ['rejected', {}, 'Clone it'],
  ];
  for (const [state, more, words] of cases) {
    const said = wordsOf(rollout(state, more));
    expect([state, said]).toEqual([state, expect.stringContaining(words)]);
    expect(said).not.toContain('undefined');
  }
});
