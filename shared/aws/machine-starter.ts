import { ExecutionAlreadyExists, type SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';

/**
 * Starts an execution of a state machine, once for each name: the same name again changes nothing.
 *
 * @returns whether it runs: false when the execution of this name is over
 */
export type StartMachine = (name: string, input: object) => Promise<boolean>;

/** Starts executions of the state machine with this ARN. */
export const machineStarter =
  (client: SFNClient, stateMachineArn: string): StartMachine =>
  async (name, input) => {
    try {
      await client.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }));
      return true;
    } catch (error) {
      // While it runs, the same name with the same input is answered like the first start.
      if (error instanceof ExecutionAlreadyExists) return false;
      throw error;
    }
  };
