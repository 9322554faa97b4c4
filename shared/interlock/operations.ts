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
  until: v.pipe(time, v.description('From then on it is stale')),
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
  siteId: v.optional(v.pipe(SiteId, v.description('Only devices of this site'))),
  devices: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(shadowDevices),
      v.description('Most devices to look at; default 25'),
    ),
    25,
  ),
  cursor: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[\w-]{1,1024}$/),
      v.description('`next` of the answer before; the rest must stay the same'),
    ),
  ),
};

/** Most audit records of one device that it reads, newest first. */
export const shadowRecordsOfDevice = 300;

/** What would other settings have done? */
export const ShadowRequest = v.strictObject({
  settings: v.pipe(InterlockChanges, v.description('What differs from the settings that are deployed')),
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
  since: v.pipe(time, v.description('Commands from then on were looked at')),
  devices: v.pipe(v.number(), v.description('Devices that were looked at')),
  commands: v.pipe(v.number(), v.description('What was asked for them: commands, and what the interlock refused')),
  decided: v.pipe(v.number(), v.description('Decisions that were made anew, from the inputs stored with them')),
  undecidable: v.pipe(v.number(), v.description('Commands without such inputs: they disturb nobody, or are older')),
  cutDevices: v.pipe(
    v.array(v.string()),
    v.description(
      `Devices with more than ${shadowCommandsOfDevice} commands or ${shadowRecordsOfDevice} audit records, of which only the newest were looked at`,
    ),
  ),
  items: v.pipe(
    v.array(
      v.object({
        deviceId: v.string(),
        commandId: v.optional(v.pipe(v.string(), v.description('Missing for what was refused'))),
        type: v.picklist(Object.values(CommandType)),
        at: v.pipe(time, v.description('When it was decided')),
        was: ShadowDecision,
        would: ShadowDecision,
      }),
    ),
    v.description('Decisions that would have been others'),
  ),
  next: v.optional(v.pipe(v.string(), v.description('There are more devices: send this as `cursor`'))),
});

/** The operations on signals and rules of the interlock. */
export const interlockOperations = {
  putSignal: {
    summary: 'Say whether a device is in use',
    description:
      'For systems that know it: `kind` is `ehr-occupancy` (a patient lies in the bed of the device) or `session` (somebody has it checked out). The latest by `at` counts; an older one changes nothing and is answered with the one that counts. Commands that wait for the interlock are looked at again at once.',
    tag,
    body: SignalInput,
    answer: { status: 200, description: 'The signal that counts now', schema: SignalView },
  },
  deleteSignal: {
    summary: 'Withdraw a signal',
    description: 'The source no longer speaks for the device. Withdrawing twice changes nothing.',
    tag,
    answer: { status: 204, description: 'Withdrawn' },
  },
  shadowInterlock: {
    summary: 'What other settings of the interlock would have done in the last 30 days',
    description:
      'Changes nothing. Makes the stored decisions anew from the inputs that are stored with them. One request looks at a bounded number of devices, only those whose commands the caller may read, and says how many; `next` goes on.',
    tag,
    body: ShadowRequest,
    answer: { status: 200, description: 'What would have been decided otherwise', schema: ShadowView },
  },
} as const;
