/** Parts that both definitions are made of (Amazon States Language with JSONPath). */

/** One state. */
export type State = Readonly<Record<string, unknown>>;

/** A definition. */
export interface Definition {
  readonly Comment: string;
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

/** What stands in a definition for the ARN of the function `rollout-step`. */
export const stepFunction = '$' + '{StepFunction}';

/** What stands for the ARN of the state machine `SiteRollout`. */
export const siteMachine = '$' + '{SiteRollout}';

/** What a task calls: AWS wants to be told in which of its partitions (commercial, GovCloud, China). */
export const integration = (name: string): string => `arn:${'$'}{Partition}:states:::${name}`;

const day = 86_400;

/** How long each wait lasts before it is begun anew, seconds: a token that was lost holds nothing up for longer. */
export const waitSeconds = {
  window: 14 * day,
  monitor: 2 * day,
  hold: 30 * day,
  finish: 30 * day,
  back: 2 * day,
} as const;

/** Lambda could not take the call: 2, 4, 8, 16, 32 and 64 seconds later it is made again. */
export const lambdaRetries = {
  ErrorEquals: [
    'Lambda.ServiceException',
    'Lambda.AWSLambdaException',
    'Lambda.SdkClientException',
    'Lambda.TooManyRequestsException',
  ],
  IntervalSeconds: 2,
  BackoffRate: 2,
  MaxAttempts: 6,
} as const;

/** A step of the function `rollout-step` whose answer is given at once; `names` are the members of it that are kept. */
export function call(
  payload: State,
  answer: { readonly path: string; readonly names: readonly string[] },
  more: State,
): State {
  return {
    Type: 'Task',
    Resource: integration('lambda:invoke'),
    Parameters: { FunctionName: stepFunction, Payload: payload },
    ResultSelector: Object.fromEntries(answer.names.map((name) => [`${name}.$`, `$.Payload.${name}`])),
    ResultPath: answer.path,
    TimeoutSeconds: 120,
    ...more,
  };
}

/**
 * A step that stores a token and ends when somebody answers with it: no polling, however long it takes. When its time
 * is over it is begun anew, by itself.
 */
export function wait(name: string, step: keyof typeof waitSeconds, payload: State, more: State): State {
  const { Catch: caught, ...rest } = more;
  return {
    Type: 'Task',
    Resource: integration('lambda:invoke.waitForTaskToken'),
    Parameters: { FunctionName: stepFunction, Payload: { step, ...payload, 'token.$': '$$.Task.Token' } },
    ResultPath: '$.answer',
    TimeoutSeconds: waitSeconds[step],
    ...rest,
    Catch: [
      { ErrorEquals: ['States.Timeout'], ResultPath: '$.trouble', Next: name },
      ...((caught as readonly State[] | undefined) ?? []),
    ],
  };
}

/** The next state by the verdict of an answer; `otherwise` for all others. */
export function byVerdict(next: Readonly<Record<string, string>>, otherwise: string): State {
  return {
    Type: 'Choice',
    Choices: Object.entries(next).map(([verdict, state]) => ({
      Variable: '$.answer.verdict',
      StringEquals: verdict,
      Next: state,
    })),
    Default: otherwise,
  };
}
