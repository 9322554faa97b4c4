import { AwsError, type InvokeResult } from '../cloud.ts';
import type { FaultPlan } from '../endpoint/faults.ts';

/** What the fault plan does to invocations: rules with service `lambda` and operation `Invoke`. */
export interface InvocationFaults {
  /**
   * Runs the invocation, unless the plan strikes it: `timeout` and `kill` give Lambda's own errors for those, any other
   * error code is thrown to the invoker as an answer of the Lambda service.
   */
  run(functionName: string, invoke: () => Promise<InvokeResult>): Promise<InvokeResult>;
}

/** Invocation faults from the plan. */
export function invocationFaults(plan: FaultPlan): InvocationFaults {
  return {
    run: async (functionName, invoke) => {
      const fault = plan.strike('lambda', 'Invoke', functionName);
      if (fault === undefined) return await invoke();
      if (fault.when === 'after') await invoke();
      if (fault.error === 'timeout') return failed('Sandbox.Timedout', 'Error: Task timed out');
      if (fault.error === 'kill')
        return failed('Runtime.ExitError', 'Error: Runtime exited without providing a reason');
      throw new AwsError(fault.error, 'Injected by the fault plan of the local cloud.', fault.status);
    },
  };
}

function failed(errorType: string, errorMessage: string): InvokeResult {
  return { payload: { errorType, errorMessage }, functionError: 'Unhandled' };
}
