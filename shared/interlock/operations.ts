import * as v from 'valibot';
import { CommandType } from '../commands/command.ts';
import { GateEffect } from '../commands/gates/gate.ts';
import { SiteId } from '../places/place.ts';
import { InterlockChanges, InterlockSettings } from './settings.ts';
import { SignalInput } from './signals.ts';

const tag = 'Clinical interlock';
const time = v.pipe(v.string(), v.isoTimestamp());

/** A signal as the API shows it. */
export const SignalView = v.object({
  state: v.string(),
  at: time,
  until: v.pipe(time, v.description('When it goes stale')),
  source: v.string(),
});

/** Most devices that one request looks at: each is a query or two. */
export const shadowDevices = 50;
/** How far back it looks, days. */
export const shadowDays = 30;
/** Most commands of one device that it reads, newest first. */
export const shadowCommandsOfDevice = 200;

/** Which devices one request of shadow mode looks at; the request for the next ones names where it goes on. */
export const shadowScope = {
  siteId: v.optional(v.pipe(SiteId, v.description('Only devices at this site'))),
  devices: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(shadowDevices),
      v.description('Maximum number of devices to examine; default 25'),
    ),
    25,
  ),
  cursor: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[\w-]{1,1024}$/),
      v.description('`next` of the previous response; keep everything else the same'),
    ),
  ),
};

/** Most audit records of one device that it reads, newest first. */
export const shadowRecordsOfDevice = 300;

/** What would other settings have done? */
export const ShadowRequest = v.strictObject({
  settings: v.pipe(InterlockChanges, v.description('What to change in the deployed settings')),
  ...shadowScope,
});
export type ShadowRequest = v.InferOutput<typeof ShadowRequest>;

/** What a gate said, or would have said. */
export const ShadowDecision = v.object({
  effect: v.picklist(Object.values(GateEffect)),
  ruleId: v.string(),
  reason: v.string(),
});

/** What other settings would have done. */
export const ShadowView = v.object({
  settings: InterlockSettings,
  since: v.pipe(time, v.description('Start of the period that was examined')),
  devices: v.pipe(v.number(), v.description('Devices examined')),
  commands: v.pipe(
    v.number(),
    v.description('Commands requested for these devices, including those that the interlock refused'),
  ),
  decided: v.pipe(v.number(), v.description('Decisions replayed from the inputs stored with them')),
  undecidable: v.pipe(v.number(), v.description('Commands without stored inputs: not disruptive, or too old')),
  cutDevices: v.pipe(
    v.array(v.string()),
    v.description(
      `Devices with more than ${shadowCommandsOfDevice} commands or ${shadowRecordsOfDevice} audit records, of which only the newest were examined`,
    ),
  ),
  items: v.pipe(
    v.array(
      v.object({
        deviceId: v.string(),
        commandId: v.optional(v.pipe(v.string(), v.description('Absent for refused requests'))),
        type: v.picklist(Object.values(CommandType)),
        at: v.pipe(time, v.description('When the decision was made')),
        was: ShadowDecision,
        would: ShadowDecision,
      }),
    ),
    v.description('Decisions that would have been different'),
  ),
  next: v.optional(
    v.pipe(v.string(), v.description('Send as `cursor` to examine more devices; absent when there are none')),
  ),
});

/** The operations on signals and rules of the interlock. */
export const interlockOperations = {
  putSignal: {
    summary: 'Report whether a device is in use',
    description:
      'For systems that know: `kind` is `ehr-occupancy` (a patient is in the bed that the device is bound to) or `session` (somebody has checked the device out). The signal with the latest `at` counts; an older one changes nothing, and the response holds the one that counts. Commands waiting for the interlock are re-evaluated at once.',
    tag,
    body: SignalInput,
    answer: { status: 200, description: 'The signal in effect', schema: SignalView },
  },
  deleteSignal: {
    summary: 'Withdraw a signal',
    description: 'The source no longer speaks for the device. Idempotent.',
    tag,
    answer: { status: 204, description: 'Withdrawn' },
  },
  shadowInterlock: {
    summary: 'Try other interlock settings against the last 30 days',
    description:
      'Changes nothing. Replays past decisions from the inputs stored with them. One request examines a bounded number of devices, only those whose commands the caller may read; `devices` says how many, `next` continues.',
    tag,
    body: ShadowRequest,
    answer: { status: 200, description: 'The decisions that would have been different', schema: ShadowView },
  },
} as const;
