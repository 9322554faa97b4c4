import type { DeliveredCommand } from './channel/messages.ts';
import { collectLogs } from './commands/collect-logs.ts';
import { showMessage } from './commands/message.ts';
import type { Facts, Machine, Outcome } from './machine.ts';
import { linuxInventory } from './report/inventory.ts';
import { linuxPosture, pendingUpdates, UPDATES_UNKNOWN } from './report/posture.ts';
import type { System } from './report/system.ts';
import { wallTime } from './time.ts';

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
  /** How long the first report waits for the package manager; what comes later is told later. Milliseconds. */
  readonly patienceMs: number;
}

/** Asking the package manager takes seconds of a processor. */
const UPDATES_EVERY_MS = 3_600_000;

/** Resolves when the work is done or the time is over. */
async function patiently(work: Promise<void>, milliseconds: number): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, wallTime().wait(milliseconds, over.signal)]);
  over.abort();
}

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
    if (updates === undefined) await patiently(askUpdates(), parts.patienceMs);
    if (updates === undefined) void askUpdates().then(parts.changed);
    else if (now() - updates.at > UPDATES_EVERY_MS) void askUpdates().then(parts.changed);
    return linuxPosture(system, updates?.facts ?? UPDATES_UNKNOWN);
  };

  type CarryOut = (command: DeliveredCommand, signal: AbortSignal) => Promise<Outcome>;
  const commands: ReadonlyMap<string, CarryOut> = new Map<string, CarryOut>([
    [
      'inventory',
      async () => {
        await askUpdates();
        parts.reportAll();
        return { status: 'acknowledged' };
      },
    ],
    ['message', ({ parameters }) => showMessage(system, parameters)],
    ['collect-logs', ({ id, parameters }) => collectLogs(system, parts.logs, id, parameters)],
    ['rotate-certificate', (_, signal) => parts.rotateCertificate(signal)],
  ]);

  return {
    inventory: async () => linuxInventory(system, parts.serial),
    posture,
    carryOut: async (command, signal) =>
      commands.get(command.type)?.(command, signal) ?? { status: 'failed', reason: 'unsupported' },
    // A message that was perhaps shown is not shown again, and one new key is as good as another.
    repeatable: (type) => type !== 'message',
  };
}
