import { type Command, CommandStatus, type StoredCommand } from './command.ts';
import { isFinal, isUnanswered } from './life.ts';

/** Whether its time ran out without a result. `now` in milliseconds, our clock. */
export const isOverdue = (command: StoredCommand, now: number): boolean =>
  !isFinal(command) && isUnanswered(command) && Date.parse(command.expiresAt) <= now;

/**
 * The command as people see it: without what only the store needs, and `expired` from the moment its time ran out, though the
 * change is stored only when the device checks in or another command is queued.
 */
export function shown(command: StoredCommand, now: number): Command {
  const { revision: _revision, seq: _seq, ...visible } = command;
  if (!isOverdue(command, now)) return visible;
  return {
    ...visible,
    status: CommandStatus.Expired,
    history: [...visible.history, { status: CommandStatus.Expired, at: command.expiresAt, source: 'clock' }],
    closedAt: command.expiresAt,
  };
}
