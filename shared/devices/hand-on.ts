import * as v from 'valibot';
import type { Item } from '../aws/errors.ts';
import type { Change } from '../aws/stream.ts';
import { executedPrefix, executionPrefix } from '../rollouts/keys.ts';
import { type Device, Lifecycle } from './device.ts';
import { closedPrefix, openPrefix, sortKeys } from './keys.ts';
import { deviceOf } from './store.ts';

/**
 * The queues that changes of the Devices table are handed on to. Its stream has two readers, as many as it serves well;
 * one of them hands on what others need (docs/decisions/readers-of-the-stream.md).
 */
export const HandOnQueue = {
  /** For `device-retire`: certificates that a record no longer names, revoked devices. */
  Retire: 'retire',
  /** For `rollout-progress`: results of a rollout's commands, executions. */
  Rollouts: 'rollouts',
} as const;
export type HandOnQueue = (typeof HandOnQueue)[keyof typeof HandOnQueue];

/** A change that is handed on: the body of a message for a queue. */
export interface HandedOn {
  readonly queue: HandOnQueue;
  readonly body: object;
}

const certificates = {
  lifecycle: v.picklist(Object.values(Lifecycle)),
  certificate: v.optional(v.string()),
  nextCertificate: v.optional(v.string()),
};

/** The body of a message of the queue `retire`: what a record said of its certificates before and after a change. */
export const RetireChange = v.object({
  before: v.object(certificates),
  after: v.object({ id: v.string(), ...certificates }),
});
export type RetireChange = v.InferOutput<typeof RetireChange>;

/** In these a command has brought nothing yet that its rollout wants to know. */
const underWay: ReadonlySet<unknown> = new Set(['queued', 'pushed', 'delivered']);

/** To whom a change of the Devices table is handed on, and what is said of it; undefined when to nobody. Pure. */
export function handOn({ kind, before, after }: Change): HandedOn | undefined {
  if (after === undefined) return undefined;
  const sk = String(after['sk']);
  if (sk === sortKeys.head) return kind === 'MODIFY' && before !== undefined ? retirement(before, after) : undefined;
  if (sk.startsWith(executionPrefix) || sk.startsWith(executedPrefix)) {
    return { queue: HandOnQueue.Rollouts, body: { kind: 'execution', after } };
  }
  if (!sk.startsWith(openPrefix) && !sk.startsWith(closedPrefix)) return undefined;
  if (underWay.has(after['status']) || membersOf(after['parameters'])['rolloutId'] === undefined) return undefined;
  return { queue: HandOnQueue.Rollouts, body: { kind: 'command', after } };
}

function retirement(before: Item, after: Item): HandedOn | undefined {
  const [was, is] = [deviceOf(before), deviceOf(after)];
  if (is.lifecycle !== Lifecycle.Revoked && was.nextCertificate === undefined) return undefined;
  const said = ({ lifecycle, certificate, nextCertificate }: Device) => ({ lifecycle, certificate, nextCertificate });
  return { queue: HandOnQueue.Retire, body: { before: said(was), after: { id: is.id, ...said(is) } } };
}

const membersOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
