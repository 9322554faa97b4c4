import { type CommandChange, CommandStatus } from '../../commands/command.ts';
import { Gate } from '../../commands/gates/gate.ts';

/**
 * Whether a change of its command says that an activation that was let in has not begun: the device said "not now", or a
 * brake was pulled and kept the command back before any reply carried it (`shared/devices/last-look.ts`). A word from
 * before it was let in comes late, and says nothing.
 *
 * @param since when it was let in (RFC 3339)
 */
export const isGivenBack = ({ status, source, at }: CommandChange, since: string): boolean =>
  status === CommandStatus.Deferred &&
  (source === 'device' || source === Gate.Brake) &&
  Date.parse(at) > Date.parse(since);
