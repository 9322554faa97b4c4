import type { Table } from '../aws/dynamodb.ts';
import type { CommandGate } from '../commands/gates/pipeline.ts';
import { placeReader } from '../places/facts.ts';
import { askInterlock } from './gate.ts';
import { defaultInterlock, type InterlockSettings } from './settings.ts';

/** What the interlock needs when a command is asked for. */
export interface InterlockMeans {
  /** Places. */
  readonly directory: Table;
  readonly interlock?: InterlockSettings;
}

/**
 * The interlock as a gate of the writer. What a device said before it was asked is old as a rule: then the command is
 * stored and waits for the device's next word, which the wake-up brings at once where it is connected.
 *
 * @param forced break-glass
 */
export function interlockGate(
  { directory, interlock = defaultInterlock }: InterlockMeans,
  forced = false,
): CommandGate {
  return async ({ device, request, now }) => {
    const placeOf = placeReader(directory, () => now.getTime());
    const question = { now: now.getTime(), settings: interlock, forced };
    return { decision: await askInterlock(request, device, placeOf, question) };
  };
}
