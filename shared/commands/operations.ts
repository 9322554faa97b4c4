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
  detail: v.optional(v.pipe(v.unknown(), v.description('Details of the result, as reported by the device'))),
  closedAt: v.optional(time),
});

const waits = {
  status: 202,
  description: 'Waiting for a second person',
  schema: ApprovalView,
  location: true,
} as const;

/** The operations on commands. */
export const commandOperations = {
  listCommands: {
    summary: 'List the commands of a device',
    description: 'Open commands in order of delivery, then closed ones, newest first.',
    tag,
    query: PageQuery,
    answer: { status: 200, description: 'A page of commands', schema: pageOf(CommandView) },
  },
  createCommand: {
    summary: 'Queue a command',
    description:
      'Each type has its own permission. A command equal to one still open is not queued again; the open one is returned. `wipe` and `install-update` require a multi-factor sign-in within the last 15 minutes and wait for a second person. In an emergency, `breakGlass` skips the second person, the limit of the type and most of the interlock (docs/safety.md, R12); another person reviews it afterwards.',
    tag,
    body: CommandOrder,
    idempotencyKey: true,
    answer: { status: 201, description: 'The command', schema: CommandView, location: true },
    also: [waits],
    problems: [409],
  },
  createCommands: {
    summary: 'Queue a command for many devices',
    description:
      'Each device is decided on its own; `results` gives the outcome for each. Destructive types, and more devices than the limits allow without approval, require a multi-factor sign-in within the last 15 minutes and wait for a second person.',
    tag,
    body: BulkOrder,
    idempotencyKey: true,
    answer: {
      status: 200,
      description: 'The outcome for each device',
      schema: v.object({ results: v.array(DeviceResult) }),
    },
    also: [waits],
    problems: [409],
  },
  revokeDevice: {
    summary: 'Revoke a device',
    description:
      'Revokes its certificates and closes a live connection. It can enroll again only after it is pre-registered again. Waits for a second person, unless `breakGlass` is given. Idempotent.',
    tag,
    body: v.strictObject({
      reason: v.optional(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(500))),
      breakGlass: v.optional(BreakGlass),
    }),
    bodyOptional: true,
    idempotencyKey: true,
    answer: { status: 202, description: 'Waiting for a second person', schema: ApprovalView, location: true },
    also: [{ status: 200, description: 'The revoked device', schema: DeviceView }],
    problems: [409],
  },
  getCommand: {
    summary: 'Get a command',
    description: 'With its history: every status, when, by whom and why.',
    tag,
    answer: { status: 200, description: 'The command', schema: CommandView },
  },
  cancelCommand: {
    summary: 'Cancel a command',
    description:
      'Only while the device does not hold it: before delivery, or once the device has deferred it. Idempotent.',
    tag,
    answer: { status: 200, description: 'The cancelled command', schema: CommandView },
    problems: [409],
  },
} as const;
