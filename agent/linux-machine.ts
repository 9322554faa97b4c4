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
  /** Something changed that the server should hear of. */
  readonly changed: () => void;
  readonly now: () => number;
}

/** Asking the package manager takes seconds of a processor. */
const UPDATES_EVERY_MS = 3_600_000;

/** A real Linux machine: it reports what it finds and does what an agent can do without harm; everything else it refuses. */
export function linuxMachine(parts: LinuxMachineParts): Machine {
  const { system, now } = parts;
  let updates: { readonly at: number; readonly facts: Record<string, unknown> } | undefined;
  let asking: Promise<void> | undefined;

  const askUpdates = (): Promise<void> => {
    asking ??= pendingUpdates(system, now()).then((facts) => {
      updates = { at: now(), facts };
      asking = undefined;
    });
    return asking;
  };

  const posture = async (): Promise<Facts> => {
    // Only the first report waits for the package manager; later ones are told of its news when it has any.
    if (updates === undefined) await askUpdates();
    else if (now() - updates.at > UPDATES_EVERY_MS) void askUpdates().then(parts.changed);
    return linuxPosture(system, updates?.facts ?? {});
  };

  const commands: Readonly<Record<string, (command: DeliveredCommand, signal: AbortSignal) => Promise<Outcome>>> = {
    inventory: async () => {
      await askUpdates();
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
