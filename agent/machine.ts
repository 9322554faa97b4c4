import type { ClinicalState } from '../shared/devices/device.ts';
import type { DeliveredCommand } from './channel/messages.ts';

/** What became of a command on the machine. */
export type Outcome =
  | { readonly status: 'acknowledged'; readonly detail?: Readonly<Record<string, unknown>> }
  | { readonly status: 'failed'; readonly reason: string; readonly detail?: Readonly<Record<string, unknown>> }
  | { readonly status: 'deferred'; readonly reason: string; readonly until: number };

/** Facts about a machine, as JSON. */
export type Facts = Readonly<Record<string, unknown>>;

/** The machine that an agent stands for. What it cannot know it reports as `unknown`; it never guesses. */
export interface Machine {
  /** Hardware and software: large, changes seldom. */
  inventory(): Promise<Facts>;
  /** Security state: small, changes more often. */
  posture(): Promise<Facts>;
  /** Clinical use; a machine that has none says nothing. `at` in milliseconds since the epoch. */
  clinical?(): { readonly state: ClinicalState; readonly at: number };
  /** The version of the desired state in effect; a machine that applies none says nothing. */
  desiredVersion?(): number | undefined;
  /** The server's desired state has changed. */
  desire?(version: number, desired: unknown): void;
  /** Carries a command out. A rejection is reported as `failed`, reason `error`. */
  carryOut(command: DeliveredCommand, signal: AbortSignal): Promise<Outcome>;
  /** Whether a command that was interrupted may simply be carried out again, because doing it twice is doing it once. */
  repeatable(type: string): boolean;
}
