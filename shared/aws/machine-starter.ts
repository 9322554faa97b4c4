import { ExecutionAlreadyExists, type SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';

/** Starts an execution of a state machine, once for each name: the same name again changes nothing. */
export type StartMachine = (name: string, input: object) => Promise<void>;

/** Starts executions of the state machine with this ARN. */
export const machineStarter =
  (client: SFNClient, stateMachineArn: string): StartMachine =>
  async (name, input) => {
    try {
      await client.send(new StartExecutionCommand({ stateMachineArn, name, input: JSON.stringify(input) }));
    } catch (error) {
      // It runs with another input, or is over: its name was taken by the first start.
      if (!(error instanceof ExecutionAlreadyExists)) throw error;
    }
  };
