import * as v from 'valibot';
import { PageQuery, pageOf } from '../http/page.ts';
import { CommandStatus, CommandType } from './command.ts';
import { CommandRequest } from './types.ts';

const tag = 'Commands';
const time = v.pipe(v.string(), v.isoTimestamp());

/** One change in a command's life, as the API shows it. */
export const CommandChangeView = v.object({
  status: v.picklist(Object.values(CommandStatus)),
  at: time,
  source: v.pipe(v.string(), v.description('`user:<sub>`, `device`, `push`, `check-in`, `clock`')),
  reason: v.optional(v.string()),
  until: v.optional(time),
});

/** A command as the API shows it. */
export const CommandView = v.object({
  id: v.string(),
  deviceId: v.string(),
  type: v.picklist(Object.values(CommandType)),
  parameters: v.record(v.string(), v.unknown()),
  status: v.picklist(Object.values(CommandStatus)),
  createdAt: time,
  expiresAt: time,
  requestedBy: v.string(),
  reason: v.optional(v.string()),
  history: v.array(CommandChangeView),
  detail: v.optional(v.pipe(v.unknown(), v.description('What the device said of its result'))),
  closedAt: v.optional(time),
});

/** The operations on commands. */
export const commandOperations = {
  listCommands: {
    summary: 'List the commands of a device',
    description: 'Open ones in order of delivery, then closed ones, the newest first.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of commands', schema: pageOf(CommandView) },
  },
  createCommand: {
    summary: 'Queue a command',
    description:
      'Each type needs a permission of its own. A command that equals an open one is not queued again: the open one is answered. `wipe` needs a sign-in with a second factor within the last 15 minutes.',
    tag,
    body: CommandRequest,
    idempotencyKey: true,
    answer: { status: 201, description: 'The command', schema: CommandView, location: true },
    problems: [409],
  },
  getCommand: {
    summary: 'Read a command with its whole life',
    tag,
    answer: { status: 200, description: 'The command', schema: CommandView },
  },
  cancelCommand: {
    summary: 'Withdraw a command that the device does not have yet',
    description: 'Withdrawing twice changes nothing.',
    tag,
    answer: { status: 200, description: 'The cancelled command', schema: CommandView },
    problems: [409],
  },
} as const;
