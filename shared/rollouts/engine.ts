import type { AnswerTask } from '../aws/task-answers.ts';
import type { WakeDevice } from '../commands/push.ts';
import type { CommandTables } from '../commands/writer.ts';
import type { Pace } from './pace.ts';

/** What drives rollouts on: tables, wake-ups for devices, and answers to the state machines that wait. */
export interface Engine extends CommandTables {
  readonly wake: WakeDevice;
  readonly answer: AnswerTask;
  /** How fast executions of a site are written. @default as fast as it goes */
  readonly pace?: Pace;
}

/** Who decides when nobody does: the actor of the engine's audit records and commands. */
export const engineActor = 'system:rollout-progress';
