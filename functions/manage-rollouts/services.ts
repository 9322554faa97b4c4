import type { StartMachine } from '../../shared/aws/machine-starter.ts';
import type { Guard } from '../../shared/identity/guard.ts';
import type { AnswerMeans } from '../../shared/rollouts/machines/answer-waits.ts';
import type { PlanStore } from '../../shared/rollouts/plan/plan-store.ts';

/** What the operations on rollouts work with. */
export interface Services extends AnswerMeans {
  readonly guard: Guard;
  readonly plans: PlanStore;
  /** Asks for a plan of the rollout at this version. */
  readonly askForPlan: (rolloutId: string, version: number) => Promise<void>;
  readonly startMachine: StartMachine;
}
