import {
  InvalidToken,
  SendTaskSuccessCommand,
  type SFNClient,
  TaskDoesNotExist,
  TaskTimedOut,
} from '@aws-sdk/client-sfn';

/**
 * Ends a step of a state machine that waits with this token. `gone` when nothing waits with it any more: it was answered
 * before, its time ran out, or its execution was stopped.
 */
export type AnswerTask = (token: string, output: object) => Promise<'told' | 'gone'>;

/** Answers through Step Functions; throttling is repeated by the SDK. */
export const taskAnswerer =
  (client: SFNClient): AnswerTask =>
  async (taskToken, output) => {
    try {
      await client.send(new SendTaskSuccessCommand({ taskToken, output: JSON.stringify(output) }));
      return 'told';
    } catch (error) {
      if (gone.some((kind) => error instanceof kind)) return 'gone';
      throw error;
    }
  };

/** A token that Step Functions does not know is one of an execution that is long over. */
const gone = [TaskTimedOut, TaskDoesNotExist, InvalidToken];
