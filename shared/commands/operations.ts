import * as v from 'valibot';
import { ApprovalView, DeviceResult } from '../approvals/operations.ts';
import { DeviceView } from '../devices/operations.ts';
import { PageQuery, pageOf } from '../http/page.ts';
import { BreakGlass } from '../reviews/review.ts';
import { CommandStatus, CommandType } from './command.ts';
import { BulkOrder, CommandOrder } from './types.ts';

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
  approvedBy: v.optional(v.pipe(v.string(), v.description('The second person'))),
  approvalId: v.optional(v.string()),
  breakGlass: v.optional(v.object({ reasonCode: v.string(), text: v.string(), reviewId: v.string() })),
  history: v.array(CommandChangeView),
  detail: v.optional(v.pipe(v.unknown(), v.description('What the device said of its result'))),
  closedAt: v.optional(time),
});

const waits = { status: 202, description: 'Waits for a second person', schema: ApprovalView, location: true } as const;

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
      'Each type needs a permission of its own. A command that equals an open one is not queued again: the open one is answered. `wipe` and `install-update` need a sign-in with a second factor within the last 15 minutes and wait for a second person; with `breakGlass` they do not, in an emergency that another person reviews afterwards.',
    tag,
    body: CommandOrder,
    idempotencyKey: true,
    answer: { status: 201, description: 'The command', schema: CommandView, location: true },
    also: [waits],
    problems: [409],
  },
  createCommands: {
    summary: 'Queue the same command for many devices',
    description:
      'Each device is decided by itself, and `results` says what became of each. Destructive types, and more devices than the limits allow without approval, need a sign-in with a second factor within the last 15 minutes and wait for a second person.',
    tag,
    body: BulkOrder,
    idempotencyKey: true,
    answer: {
      status: 200,
      description: 'What became of each device',
      schema: v.object({ results: v.array(DeviceResult) }),
    },
    also: [waits],
    problems: [409],
  },
  revokeDevice: {
    summary: 'Revoke a device',
    description:
      'Its certificates stop working and a live connection is cut. It can enrol again only after it was pre-registered anew. Waits for a second person, unless the glass is broken. Revoking twice changes nothing.',
    tag,
    body: v.strictObject({
      reason: v.optional(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(500))),
      breakGlass: v.optional(BreakGlass),
    }),
    bodyOptional: true,
    idempotencyKey: true,
    answer: { status: 202, description: 'Waits for a second person', schema: ApprovalView, location: true },
    also: [{ status: 200, description: 'The device, revoked', schema: DeviceView }],
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
