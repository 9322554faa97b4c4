import type { AnswerTask } from '../aws/task-answers.ts';
import type { WakeDevice } from '../commands/push.ts';
import type { CommandTables } from '../commands/writer.ts';

/** What drives rollouts on: tables, wake-ups for devices, and answers to the state machines that wait. */
export interface Engine extends CommandTables {
  readonly wake: WakeDevice;
  readonly answer: AnswerTask;
}

/** Who decides when nobody does: the actor of the engine's audit records and commands. */
export const engineActor = 'system:rollout-progress';
