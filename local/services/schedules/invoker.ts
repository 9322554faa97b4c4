import { AwsError, type Cloud, type Json } from '../../cloud.ts';
import { serviceOfArn } from '../identifiers.ts';
import { sleep } from '../sleep.ts';

/** What a role must be allowed for each kind of target. */
const ACTIONS: Readonly<Record<string, string>> = {
  lambda: 'lambda:InvokeFunction',
  sqs: 'sqs:SendMessage',
  sns: 'sns:Publish',
  states: 'states:StartExecution',
  events: 'events:PutEvents',
};

/** Targets whose messages are JSON; the others take text as it is. */
const JSON_TARGETS = new Set(['lambda', 'states', 'events']);

/** A delivery to a target by a schedule or an event rule. */
export interface Delivery {
  readonly targetArn: string;
  /** The role that is used; undefined where the target's own policy decides. */
  readonly roleArn: string | undefined;
  /** JSON text; `<aws.scheduler.attempt-number>` in it is replaced. */
  readonly input: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly maximumRetries: number;
  /** Seconds. */
  readonly maximumAge: number;
  readonly deadLetterArn: string | undefined;
}

const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;

/** The action a role needs to send to a target; throws for a target that is not emulated. */
export const targetAction = (targetArn: string): string => {
  const action = ACTIONS[serviceOfArn(targetArn)];
  if (action === undefined) throw new Error(`The local cloud sends nothing to ${targetArn}`);
  return action;
};

const attempt = async (cloud: Cloud, delivery: Delivery, number: number): Promise<void> => {
  const { targetArn, roleArn, attributes } = delivery;
  const input = delivery.input.replaceAll('<aws.scheduler.attempt-number>', String(number));
  if (roleArn !== undefined) cloud.authorize({ roleArn }, { action: targetAction(targetArn), resource: targetArn });
  const message: Json = JSON_TARGETS.has(serviceOfArn(targetArn)) ? (JSON.parse(input) as Json) : input;
  await cloud.deliver(targetArn, message, { attributes });
};

/**
 * Delivers, and tries again after a failure until the retries or the age are used up; then the input goes to the
 * dead-letter queue with why (attributes `ERROR_CODE`, `ERROR_MESSAGE`). What is not allowed is not tried again.
 */
export const deliverWithRetries = async (cloud: Cloud, delivery: Delivery, signal: AbortSignal): Promise<void> => {
  const until = cloud.clock.now() + delivery.maximumAge * 1000;
  for (let retries = 0; ; retries += 1) {
    try {
      await attempt(cloud, delivery, retries + 1);
      return;
    } catch (error) {
      const denied = error instanceof AwsError && error.code.startsWith('AccessDenied');
      if (denied || retries >= delivery.maximumRetries || cloud.clock.now() >= until) {
        await giveUp(cloud, delivery, error);
        return;
      }
      await sleep(cloud.clock, Math.min(FIRST_PAUSE * 2 ** retries, LONGEST_PAUSE), signal);
      // The schedule is still due in the store, so that the next start takes it up again.
      if (signal.aborted) throw error;
    }
  }
};

const giveUp = async (cloud: Cloud, delivery: Delivery, error: unknown): Promise<void> => {
  const message = error instanceof Error ? error.message : String(error);
  cloud.log.warn(`${delivery.targetArn} could not be reached: ${message}`);
  if (delivery.deadLetterArn === undefined) return;
  await cloud.deliver(delivery.deadLetterArn, delivery.input, {
    attributes: {
      ERROR_CODE: error instanceof AwsError ? error.code : 'InternalError',
      ERROR_MESSAGE: message,
      TARGET_ARN: delivery.targetArn,
    },
  });
};
