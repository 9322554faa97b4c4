import { call, type Definition, integration, lambdaRetries, siteMachine, wait } from './parts.ts';

/**
 * What goes wrong for longer than Lambda's own hiccups: tried again for about a day, then the execution fails, an alarm
 * rings, and it can be redriven (docs/operations.md#rollout-machines).
 */
const dayOfRetries = {
  ErrorEquals: ['States.ALL'],
  IntervalSeconds: 30,
  BackoffRate: 2,
  MaxDelaySeconds: 900,
  MaxAttempts: 96,
} as const;

/** Time is over by design, and has a catcher of its own. */
const neverTimeouts = { ErrorEquals: ['States.Timeout'], MaxAttempts: 0 } as const;

/**
 * A rollout as a whole. Input: `{ rolloutId }`; the name of the execution is the rollout's id, so that starting it twice
 * starts it once.
 *
 * ```
 * Sites ──> Parts (a Map over parts of 40 sites)
 *             └─> SitesOfPart (a Map over the sites of a part)
 *                   └─> Site: a SiteRollout and its end ──(fails)──> SiteLost
 *   ──> Finish (waits for the end) ──DONE──> Over
 *           └──ROLLBACK──> BackRound (another execution brings back whom this one left out) ──> Over
 * ```
 *
 * A site's machine runs until the rollout is over, so all sites of a rollout run at the same time: 40 parts of 40 sites.
 *
 * History, of 25,000 events at most: 8 for each site (iteration 2, task 6) and 2 more for one that is lost, 6 for each
 * part, 4 for `Parts`, 5 for `Sites`, 6 for each 30 days of `Finish`. 1,600 sites that are all lost are 16,240. A day of
 * retries adds 300. A test counts.
 */
export const rolloutDefinition: Definition = {
  Comment: 'A rollout as a whole: its sites at the same time, each by itself',
  StartAt: 'Sites',
  States: {
    Sites: call(
      { step: 'sites', 'rolloutId.$': '$.rolloutId', 'execution.$': '$$.Execution.Name' },
      { path: '$.sites', names: ['parts', 'next'] },
      { Retry: [lambdaRetries, dayOfRetries], Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Lost' }], Next: 'Parts' },
    ),
    Parts: {
      Type: 'Map',
      ItemsPath: '$.sites.parts',
      ItemSelector: { 'rolloutId.$': '$.rolloutId', 'sites.$': '$$.Map.Item.Value' },
      MaxConcurrency: 40,
      ItemProcessor: {
        ProcessorConfig: { Mode: 'INLINE' },
        StartAt: 'SitesOfPart',
        States: {
          SitesOfPart: {
            Type: 'Map',
            ItemsPath: '$.sites',
            ItemSelector: { 'rolloutId.$': '$.rolloutId', 'siteId.$': '$$.Map.Item.Value.siteId' },
            MaxConcurrency: 40,
            ItemProcessor: {
              ProcessorConfig: { Mode: 'INLINE' },
              StartAt: 'Site',
              States: {
                Site: {
                  Type: 'Task',
                  Resource: integration('states:startExecution.sync:2'),
                  Parameters: {
                    StateMachineArn: siteMachine,
                    'Name.$': "States.Format('{}-{}', $$.Execution.Name, $.siteId)",
                    Input: {
                      'rolloutId.$': '$.rolloutId',
                      'siteId.$': '$.siteId',
                      'name.$': "States.Format('{}-{}', $$.Execution.Name, $.siteId)",
                      generation: 0,
                      turn: { count: 0 },
                      wave: { index: -1, stage: 'passed', next: 0, again: -1 },
                      back: { after: '', told: 0, more: true },
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
                  // A site that fails is one site: an alarm tells of it, the others go on.
                  Catch: [{ ErrorEquals: ['States.ALL'], ResultPath: null, Next: 'SiteLost' }],
                  End: true,
                },
                SiteLost: { Type: 'Pass', Result: { lost: true }, End: true },
              },
            },
            ResultPath: null,
            End: true,
          },
        },
      },
      ResultPath: null,
      Next: 'Finish',
    },
    Finish: wait(
      'Finish',
      'finish',
      { 'rolloutId.$': '$.rolloutId' },
      {
        Retry: [neverTimeouts, lambdaRetries, dayOfRetries],
        Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Lost' }],
        Next: 'Finished',
      },
    ),
    Finished: {
      Type: 'Choice',
      Choices: [{ Variable: '$.answer.verdict', StringEquals: 'ROLLBACK', Next: 'BackRound' }],
      Default: 'Over',
    },
    BackRound: {
      Type: 'Task',
      Resource: integration('states:startExecution'),
      Parameters: {
        'StateMachineArn.$': '$$.StateMachine.Id',
        'Name.$': '$.sites.next',
        Input: { 'rolloutId.$': '$.rolloutId' },
      },
      ResultSelector: {},
      ResultPath: '$.answer',
      Retry: [dayOfRetries],
      Catch: [{ ErrorEquals: ['States.ALL'], Next: 'Lost' }],
      Next: 'Over',
    },
    Over: { Type: 'Succeed' },
    Lost: {
      Type: 'Fail',
      Error: 'RolloutLost',
      Cause: 'The function rollout-step failed for a day. The runbook rollout-machines says what to do.',
    },
  },
};
