import type { DeliveredCommand } from './channel/messages.ts';
import { collectLogs } from './commands/collect-logs.ts';
import { showMessage } from './commands/message.ts';
import type { Facts, Machine, Outcome } from './machine.ts';
import { linuxInventory } from './report/inventory.ts';
import { linuxPosture, pendingUpdates } from './report/posture.ts';
import type { System } from './report/system.ts';

/** What a Linux machine is made of. */
export interface LinuxMachineParts {
  readonly system: System;
  readonly serial: { readonly serial: string; readonly source: string };
  /** Folder for collected logs. */
  readonly logs: string;
  /** Makes a new key and renews the certificate. */
  readonly rotateCertificate: (signal: AbortSignal) => Promise<Outcome>;
  /** The next check-in carries everything. */
  readonly reportAll: () => void;
  readonly now: () => number;
}

/** Asking the package manager takes seconds of a processor. */
const UPDATES_EVERY_MS = 3_600_000;

/** A real Linux machine: it reports what it finds and does what an agent can do without harm; everything else it refuses. */
export function linuxMachine(parts: LinuxMachineParts): Machine {
  const { system, now } = parts;
  let updates: { at: number; facts: Record<string, unknown> } | undefined;

  const posture = async (): Promise<Facts> => {
    if (updates === undefined || now() - updates.at > UPDATES_EVERY_MS) {
      updates = { at: now(), facts: await pendingUpdates(system, now()) };
    }
    return linuxPosture(system, updates.facts);
  };

  const commands: Readonly<Record<string, (command: DeliveredCommand, signal: AbortSignal) => Promise<Outcome>>> = {
    inventory: async () => {
      updates = undefined;
      parts.reportAll();
      return { status: 'acknowledged' };
    },
    message: ({ parameters }) => showMessage(system, parameters),
    'collect-logs': ({ id, parameters }) => collectLogs(system, parts.logs, id, parameters),
    'rotate-certificate': (_, signal) => parts.rotateCertificate(signal),
  };

  return {
    inventory: async () => linuxInventory(system, parts.serial),
    posture,
    carryOut: async (command, signal) =>
      commands[command.type]?.(command, signal) ?? { status: 'failed', reason: 'unsupported' },
    // A message that was perhaps shown is not shown again, and one new key is as good as another.
    repeatable: (type) => type !== 'message',
  };
}
