import * as v from 'valibot';
import { CommandType } from '../../commands/command.ts';
import { ActivationState, ClinicalState, ContextAssociation, OperatingMode } from '../../devices/device.ts';
import { Time as AnyTime } from '../../time.ts';

/**
 * The agent protocol (docs/protocols/agent.md): one message up, one down, the same over MQTT and HTTPS. The JSON Schema
 * files in docs/protocols/ are made from these schemas.
 */

/** Largest check-in, in bytes: what one MQTT message of AWS IoT Core can carry. */
export const checkInLimitBytes = 128 * 1024;
/** Most results in one check-in. */
export const resultsLimit = 64;
/** Largest `detail` of a result, in bytes of JSON. */
export const detailLimitBytes = 4 * 1024;
/** Deepest nesting of arrays and objects. */
export const depthLimit = 32;

const Time = v.pipe(AnyTime, v.description('RFC 3339 date and time with offset.'));

/** An object whose members are the device's own; not copied member by member, since it can be large. */
const JsonObject = v.custom<Readonly<Record<string, unknown>>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'must be a JSON object',
);

const Detail = v.pipe(
  JsonObject,
  v.check(
    (detail) => Buffer.byteLength(JSON.stringify(detail)) <= detailLimitBytes,
    `may have at most ${detailLimitBytes} bytes of JSON`,
  ),
  v.description('What the device wants to say of the result. At most 4 KB of JSON. Never anything about a patient.'),
);

/** What a device says became of one command. */
export const CommandResult = v.object({
  commandId: v.pipe(
    v.string(),
    v.regex(/^[0-9]-[0-9A-HJKMNP-TV-Z]{26}$/, 'must be a command id'),
    v.description('The id under which the command was handed out.'),
  ),
  status: v.pipe(
    v.picklist(['acknowledged', 'failed', 'deferred']),
    v.description('Carried out; refused or gone wrong; not now.'),
  ),
  reason: v.optional(
    v.pipe(v.string(), v.maxLength(200), v.description('Why, in one stable word or a short sentence.')),
  ),
  until: v.optional(
    v.pipe(
      Time,
      v.description("For `deferred`: when to hand it out again, on the device's clock. Default: 15 minutes."),
    ),
  ),
  detail: v.optional(Detail),
});
export type CommandResult = v.InferOutput<typeof CommandResult>;

/** A check-in. Members that are not listed are ignored, so that newer devices can talk to older servers. */
export const CheckInMessage = v.object({
  clientToken: v.optional(
    v.pipe(v.string(), v.maxLength(64), v.description('Returned unchanged in the reply, to match the two.')),
  ),
  at: v.pipe(Time, v.description("When the message was made, on the device's clock. Orders the device's own reports.")),
  inventory: v.optional(
    v.pipe(
      JsonObject,
      v.description(
        'Hardware and software. Send it when it changed. `os.version` is what verifies install-update; activate-update is verified by the version of what it changed. Leave out values that change all the time.',
      ),
    ),
  ),
  posture: v.optional(
    v.pipe(
      JsonObject,
      v.description(
        'Security state. Send it when it changed. `locked` (boolean) verifies lock, `bootedAt` (RFC 3339) verifies restart. `battery` ({percent, charging}) says whether an update may be installed; on mains without a battery that is 100 and true. What the device cannot know is "unknown".',
      ),
    ),
  ),
  clinical: v.optional(
    v.pipe(
      v.object({
        state: v.picklist(Object.values(ClinicalState)),
        at: v.pipe(Time, v.description("Since when, on the device's clock.")),
        operatingMode: v.optional(
          v.pipe(
            v.picklist(Object.values(OperatingMode)),
            v.description('MdsState/@OperatingMode of IEEE 11073-10207, for devices that speak SDC.'),
          ),
        ),
        activationState: v.optional(
          v.pipe(v.picklist(Object.values(ActivationState)), v.description('MdsState/@ActivationState.')),
        ),
        contextAssociation: v.optional(
          v.pipe(
            v.picklist(Object.values(ContextAssociation)),
            v.description('@ContextAssociation of the patient context. Pre and Assoc count as in use.'),
          ),
        ),
      }),
      v.description(
        'Clinical use. Unknown counts as in use. Send it with every check-in: a restart is handed out only when this very message says that the device is not in use.',
      ),
    ),
  ),
  desiredVersion: v.optional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.minValue(0),
      v.description('Version of the desired state that is in effect on the device.'),
    ),
  ),
  results: v.optional(v.pipe(v.array(CommandResult), v.maxLength(resultsLimit))),
  wake: v.optional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.minValue(0),
      v.description('The `n` of the wake-up that caused this check-in: makes sure that what it announced is seen.'),
    ),
  ),
});
export type CheckInMessage = v.InferOutput<typeof CheckInMessage>;

/** A command as the device gets it. */
export const HandedCommand = v.object({
  id: v.pipe(v.string(), v.description('Remember it: the same id again is the same command, to be carried out once.')),
  type: v.picklist(Object.values(CommandType)),
  parameters: JsonObject,
  expiresAt: v.pipe(
    Time,
    v.description('Not to be begun after this time (serverTime tells how far the clocks differ).'),
  ),
});
export type HandedCommand = v.InferOutput<typeof HandedCommand>;

/** The answer to a check-in. */
export const CheckInReply = v.object({
  clientToken: v.optional(v.string()),
  serverTime: Time,
  nextCheckInSeconds: v.pipe(v.number(), v.integer(), v.minValue(1)),
  commands: v.pipe(v.array(HandedCommand), v.description('In the order in which they are to be carried out.')),
  desiredVersion: v.pipe(v.number(), v.integer(), v.minValue(0), v.description('0: no desired state was set.')),
  desired: v.optional(
    v.pipe(JsonObject, v.description('The desired state, when its version is not the one that the device reported.')),
  ),
});
export type CheckInReply = v.InferOutput<typeof CheckInReply>;

/** A refused check-in, on `.../rejected` and as the body of an HTTP error (RFC 9457). */
export const CheckInRefusal = v.object({
  clientToken: v.optional(v.string()),
  type: v.string(),
  title: v.string(),
  status: v.pipe(v.number(), v.integer()),
  detail: v.optional(v.string()),
  errors: v.optional(
    v.array(v.object({ pointer: v.pipe(v.string(), v.description('JSON Pointer (RFC 6901)')), detail: v.string() })),
  ),
  limitBytes: v.optional(v.pipe(v.number(), v.integer())),
});
export type CheckInRefusal = v.InferOutput<typeof CheckInRefusal>;

/** The wake-up on `wardline/<thing>/wake`: check in now. It says nothing of what waits. */
export const WakeUp = v.object({
  v: v.literal(1),
  n: v.pipe(v.number(), v.integer(), v.description('Grows with each queued command; repeat it in `wake`.')),
});
export type WakeUp = v.InferOutput<typeof WakeUp>;
