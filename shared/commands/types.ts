import * as v from 'valibot';
import { largestRequest } from '../approvals/approval.ts';
import { BreakGlass } from '../reviews/review.ts';
import type { Artifact } from '../rollouts/rollout.ts';
import { Time } from '../time.ts';
import { CommandType } from './command.ts';

const text = (longest: number) => v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(longest));

/** A PIN is typed on a lock screen: digits only. Six is what the strictest platform asks for. */
const Pin = v.pipe(
  v.string(),
  v.regex(/^\d{6}$/, 'must be six digits'),
  v.description('PIN that unlocks the device, on platforms that take one'),
);

/** What a rollout brings (`Artifact`), and which one it is. */
const artifact = {
  rolloutId: v.pipe(v.string(), v.regex(/^ro-[0-9a-z]{1,80}$/, 'must be the id of a rollout')),
  kind: v.picklist(['firmware', 'os', 'app', 'policy', 'agent'] as const satisfies readonly Artifact['kind'][]),
  name: text(200),
  version: text(64),
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex')),
};

/**
 * The parameters of each command type. The schemas are strict: a parameter that the type does not have is a mistake
 * that the person who asks must see, not something that the device ignores. No parameter may carry patient data.
 */
export const parameterSchemas = {
  /** Report the inventory anew. */
  [CommandType.Inventory]: v.strictObject({}),
  /** Show a text to whoever holds the device. */
  [CommandType.Message]: v.strictObject({ title: v.optional(text(80)), text: text(500) }),
  /** Lock the screen; the text and phone number are shown to whoever finds the device. */
  [CommandType.Lock]: v.strictObject({
    message: v.optional(v.pipe(text(200), v.description('Shown on the lock screen'))),
    phoneNumber: v.optional(
      v.pipe(
        v.string(),
        v.regex(/^\+?[\d ()./-]{3,30}$/, 'must be a phone number'),
        v.description('Shown on the lock screen'),
      ),
    ),
    pin: v.optional(Pin),
  }),
  /** Restart. */
  [CommandType.Restart]: v.strictObject({
    notBefore: v.optional(v.pipe(Time, v.description('The device waits until then'))),
  }),
  /** Report where the device is, in the result's `detail`. */
  [CommandType.Locate]: v.strictObject({}),
  /** Erase the device. */
  [CommandType.Wipe]: v.strictObject({
    preserveDataPlan: v.optional(v.pipe(v.boolean(), v.description('Keep the mobile data plan'))),
    pin: v.optional(Pin),
  }),
  /** Install an operating system or firmware update: exactly this version. */
  [CommandType.InstallUpdate]: v.strictObject({
    version: v.pipe(text(64), v.description('Exactly this version')),
    activate: v.optional(
      v.pipe(
        v.picklist(['now', 'idle']),
        v.description('When to activate what was downloaded; `idle` waits until the device is not in clinical use'),
      ),
      'idle',
    ),
  }),
  /** Fetch this artifact and check it, beside what runs: nothing changes for whoever uses the device. */
  [CommandType.DownloadUpdate]: v.strictObject({
    ...artifact,
    /** Detached, base64. */
    signature: v.pipe(v.string(), v.base64(), v.maxLength(4_096)),
    url: v.optional(v.pipe(v.string(), v.url(), v.startsWith('https://'), v.maxLength(2_048))),
  }),
  /** Change to what was downloaded; with `back` to what ran before it. */
  [CommandType.ActivateUpdate]: v.strictObject({ ...artifact, back: v.optional(v.literal(true)) }),
  /** Fetch and apply the desired state now. */
  [CommandType.ApplyConfig]: v.strictObject({
    version: v.optional(
      v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.description('At least this version; default the newest')),
    ),
  }),
  /** Make a new key and renew the identity certificate. */
  [CommandType.RotateCertificate]: v.strictObject({}),
  /** Collect logs; the device says in the result's `detail` where they are. */
  [CommandType.CollectLogs]: v.strictObject({
    since: v.optional(v.pipe(Time, v.description('Only entries from then on'))),
    maxBytes: v.optional(
      v.pipe(
        v.number(),
        v.integer(),
        v.minValue(1_024),
        v.maxValue(10_485_760),
        v.description('Maximum size of the logs'),
      ),
    ),
  }),
} as const satisfies Record<CommandType, v.GenericSchema>;

/** What the writer must know of a type besides its parameters. */
export interface CommandTraits {
  /** 1 urgent, 5 ordinary: the first character of the id. */
  readonly priority: 1 | 5;
  /** How long it waits for a result when whoever asks does not say. */
  readonly expiresAfterHours: number;
  /**
   * Whether a second one with equal parameters adds nothing while the first is open, so that the first is returned.
   * A message is shown twice when it is sent twice.
   */
  readonly collapses: boolean;
}

const ordinary = { priority: 5, expiresAfterHours: 7 * 24, collapses: true } as const;
/** Not given up early: the device may be in a thief's drawer. */
const urgent = { priority: 1, expiresAfterHours: 30 * 24, collapses: true } as const;

/** The traits of each type. */
export const commandTraits: Readonly<Record<CommandType, CommandTraits>> = {
  [CommandType.Inventory]: ordinary,
  // A text from last week confuses who reads it.
  [CommandType.Message]: { priority: 5, expiresAfterHours: 24, collapses: false },
  [CommandType.Lock]: urgent,
  // A restart that waits for a week surprises the ward.
  [CommandType.Restart]: { ...ordinary, expiresAfterHours: 24 },
  [CommandType.Locate]: { ...ordinary, expiresAfterHours: 24 },
  [CommandType.Wipe]: urgent,
  [CommandType.InstallUpdate]: { ...ordinary, expiresAfterHours: 14 * 24 },
  [CommandType.DownloadUpdate]: { ...ordinary, expiresAfterHours: 14 * 24 },
  // It waits for its turn, for a window and for a moment in which nobody uses the device.
  [CommandType.ActivateUpdate]: { ...ordinary, expiresAfterHours: 30 * 24 },
  [CommandType.ApplyConfig]: ordinary,
  [CommandType.RotateCertificate]: ordinary,
  [CommandType.CollectLogs]: ordinary,
};

/** Longest time that a command may wait for a result. */
export const longestExpiryDays = 90;

/** What every request has besides its type and parameters. */
const common = {
  /** The writer checks how far ahead it lies, since it needs the time. */
  expiresAt: v.optional(
    v.pipe(
      Time,
      v.description(
        `When to give the command up; at most ${longestExpiryDays} days ahead. The default depends on the type`,
      ),
    ),
  ),
  reason: v.optional(v.pipe(text(500), v.description('Why, for the audit trail, for example a change number'))),
};

/** What people ask for, with `extra` members beside it. One variant for each type, so that OpenAPI documents its parameters. */
const ordersWith = <Extra extends v.ObjectEntries>(extra: Extra) =>
  [
    requestOf(CommandType.Inventory, extra),
    requestOf(CommandType.Message, extra),
    requestOf(CommandType.Lock, extra),
    requestOf(CommandType.Restart, extra),
    requestOf(CommandType.Locate, extra),
    requestOf(CommandType.Wipe, extra),
    requestOf(CommandType.InstallUpdate, extra),
    requestOf(CommandType.ApplyConfig, extra),
    requestOf(CommandType.RotateCertificate, extra),
    requestOf(CommandType.CollectLogs, extra),
  ] as const;

function requestOf<Type extends CommandType, Extra extends v.ObjectEntries>(type: Type, extra: Extra) {
  return v.strictObject({
    type: v.literal(type),
    parameters: v.optional(parameterSchemas[type], {}),
    ...common,
    ...extra,
  });
}

/** A command as the writer takes it: a type, its parameters, when it expires, why it is asked for. */
export const CommandRequest = v.variant('type', [
  ...ordersWith({}),
  requestOf(CommandType.DownloadUpdate, {}),
  requestOf(CommandType.ActivateUpdate, {}),
]);
export type CommandRequest = v.InferOutput<typeof CommandRequest>;

/** The body of `POST /v1/devices/{id}/commands`. */
export const CommandOrder = v.variant('type', ordersWith({ breakGlass: v.optional(BreakGlass) }));

/** The body of `POST /v1/commands`: the same command for many devices. */
export const BulkOrder = v.variant(
  'type',
  ordersWith({
    deviceIds: v.pipe(
      v.array(v.pipe(v.string(), v.regex(/^d-[0-9a-z]{24}$/, 'must be the id of a device'))),
      v.minLength(1),
      v.maxLength(largestRequest),
      v.description('Must not repeat a device'),
    ),
  }),
);
