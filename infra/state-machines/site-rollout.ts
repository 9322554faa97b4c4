import { byVerdict, call, type Definition, integration, lambdaRetries, wait } from './parts.ts';

/** Between two parts of 1,000 devices, seconds: not all devices of a hospital download at the same moment. */
const betweenParts = 30;

/** Until what failed, or is held by a brake, is tried again, seconds. */
const betweenTries = 900;

/** After so many turns another execution takes over, so that no history grows without end. */
export const turnsOfExecution = 100;

const site = { 'rolloutId.$': '$.rolloutId', 'siteId.$': '$.siteId' } as const;
const inWave = { ...site, 'wave.$': '$.wave.index' } as const;

/** What is tried again does no harm, and a site that cannot go on waits: nothing ends by itself. */
const again = {
  Retry: [lambdaRetries],
  Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: '$.trouble', Next: 'Later' }],
} as const;

/**
 * A rollout at one site, from its first wave to the end of the rollout. It decides *when a wave may go on* and never sees
 * a device; devices are let in one by one elsewhere (docs/rollouts.md).
 *
 * ```
 *            ┌────────────────────────────<────────────────────────────┐
 * Wave ──> WhatNow ──window──> Window ──> MayBegin ──OPEN──> Dispatch ──> Told ──monitor──> Monitor ──> Gate
 *            │  └──monitor──────────────────────────────────────────────────────────────────>┘          │
 *            └──none──> Watch                                                                          │
 *
 *   MayBegin, Gate:  PROMOTE ──> NextWave ──> Wave        HOLD ──> Hold ──> Held ──RESUME──> Turn ──> Wave
 *                    ROLLBACK ──> RollBack                otherwise (STOP) ──> Watch
 *   Told:            dispatch ──> Pace ──> Dispatch       later ──> Later ──> Turn      window ──> Turn
 *   Watch:           waits for the end of the rollout ──> Watched ──ROLLBACK──> RollBack, otherwise ──> Over
 *   RollBack:        told in parts (BackPace) ──> Back: waits until all are back ──> Over
 *   any failure:     ──> Later (15 minutes) ──> Turn ──> Fresh ──> Wave; after 100 turns ──> HandOver to another execution
 * ```
 *
 * A wait whose time is over is begun anew: a token that was lost is found that way.
 *
 * History, of 25,000 events at most. A task has 5 events, a task with a token 6, a choice, a pass and a wait 2 each. A
 * wave without holds: Wave 5, WhatNow 2, Window 6, MayBegin 2, Dispatch 5, Told 2, Monitor 6, Gate 2, NextWave 2 = 32;
 * 20 waves 640. Each further 1,000 devices: Pace 2, Dispatch 5, Told 2 = 9; 100,000 devices 900. A turn at most: Hold 6,
 * Held 2, Turn 2, Fresh 2 and the way back to Gate 30 = 42, with six retries of 3 events in each of its 5 tasks 132;
 * 100 turns 13,200. A year of waits that are begun anew: 183 times Monitor or Back 6. The end 25, and the way back of
 * 100,000 devices, 500 at a time, 1,800. Together less than 18,000. A test counts.
 */
export const siteRolloutDefinition: Definition = {
  Comment: 'A rollout at one site: wave by wave, and back if need be',
  StartAt: 'Wave',
  States: {
    Wave: call(
      { step: 'wave', ...site, 'wave.$': '$.wave' },
      { path: '$.wave', names: ['index', 'stage', 'next', 'again'] },
      { ...again, Next: 'WhatNow' },
    ),
    WhatNow: {
      Type: 'Choice',
      Choices: [
        { Variable: '$.wave.stage', StringEquals: 'none', Next: 'Watch' },
        { Variable: '$.wave.stage', StringEquals: 'monitor', Next: 'Monitor' },
      ],
      Default: 'Window',
    },
    Window: wait('Window', 'window', inWave, { ...again, Next: 'MayBegin' }),
    MayBegin: byVerdict({ OPEN: 'Dispatch', PROMOTE: 'NextWave', HOLD: 'Hold', ROLLBACK: 'RollBack' }, 'Watch'),
    Dispatch: call(
      { step: 'dispatch', ...site, 'wave.$': '$.wave' },
      { path: '$.wave', names: ['index', 'stage', 'next', 'again'] },
      { ...again, Next: 'Told' },
    ),
    Told: {
      Type: 'Choice',
      Choices: [
        { Variable: '$.wave.stage', StringEquals: 'dispatch', Next: 'Pace' },
        { Variable: '$.wave.stage', StringEquals: 'later', Next: 'Later' },
        { Variable: '$.wave.stage', StringEquals: 'window', Next: 'Turn' },
      ],
      Default: 'Monitor',
    },
    Pace: { Type: 'Wait', Seconds: betweenParts, Next: 'Dispatch' },
    Monitor: wait('Monitor', 'monitor', inWave, { ...again, Next: 'Gate' }),
    Gate: byVerdict({ PROMOTE: 'NextWave', HOLD: 'Hold', ROLLBACK: 'RollBack' }, 'Watch'),
    NextWave: { Type: 'Pass', Result: 'passed', ResultPath: '$.wave.stage', Next: 'Wave' },

    Hold: wait('Hold', 'hold', inWave, { ...again, Next: 'Held' }),
    Held: byVerdict({ RESUME: 'Turn', ROLLBACK: 'RollBack' }, 'Watch'),

    Later: { Type: 'Wait', Seconds: betweenTries, Next: 'Turn' },
    Turn: {
      Type: 'Pass',
      Parameters: { 'count.$': 'States.MathAdd($.turn.count, 1)' },
      ResultPath: '$.turn',
      Next: 'Fresh',
    },
    Fresh: {
      Type: 'Choice',
      Choices: [{ Variable: '$.turn.count', NumericGreaterThanEquals: turnsOfExecution, Next: 'HandOver' }],
      Default: 'Wave',
    },
    HandOver: {
      Type: 'Task',
      Resource: integration('states:startExecution.sync:2'),
      Parameters: {
        'StateMachineArn.$': '$$.StateMachine.Id',
        'Name.$': "States.Format('{}-{}', $.name, States.MathAdd($.generation, 1))",
        Input: {
          ...site,
          'name.$': '$.name',
          'generation.$': 'States.MathAdd($.generation, 1)',
          turn: { count: 0 },
          'wave.$': '$.wave',
          'back.$': '$.back',
        },
      },
      ResultSelector: {},
      Retry: [
        {
          ErrorEquals: ['StepFunctions.ExecutionLimitExceeded', 'StepFunctions.SdkClientException'],
          IntervalSeconds: 5,
          BackoffRate: 2,
          MaxAttempts: 6,
        },
      ],
      // The other has the site from now on. If it fails, so does this one, and the rollout notes it.
      End: true,
    },

    Watch: wait('Watch', 'finish', site, { ...again, Next: 'Watched' }),
    Watched: byVerdict({ ROLLBACK: 'RollBack' }, 'Over'),

    RollBack: call(
      { step: 'roll-back', ...site, 'back.$': '$.back' },
      { path: '$.back', names: ['after', 'told', 'more'] },
      { ...again, Next: 'AllBack' },
    ),
    AllBack: {
      Type: 'Choice',
      Choices: [{ Variable: '$.back.more', BooleanEquals: true, Next: 'BackPace' }],
      Default: 'Back',
    },
    BackPace: { Type: 'Wait', Seconds: betweenParts, Next: 'RollBack' },
    Back: wait('Back', 'back', { ...site, 'told.$': '$.back.told' }, { ...again, Next: 'Over' }),
    Over: { Type: 'Succeed' },
  },
};
