import * as v from 'valibot';

const whole = (least: number, most: number, description: string) =>
  v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most), v.description(description));

const members = {
  deviceStateSeconds: whole(
    5,
    600,
    "Maximum age of a medical device's report that it is not in use (rule R1); default 60",
  ),
  foregroundSeconds: whole(
    5,
    3_600,
    'The same for phones, tablets and workstations, and how long their report of use holds back a lock (R15); default 300',
  ),
  batteryPercent: whole(
    0,
    100,
    'Minimum charge for an installation, in addition to being on the charger (R11); default 30',
  ),
  recheckMinutes: whole(
    1,
    720,
    'How long until a deferred command is re-evaluated if nothing changes before; default 30',
  ),
  windows: v.pipe(v.boolean(), v.description('Whether installations wait for a maintenance window (R9); default true')),
};

/** What a hospital may set of the interlock. What is not here cannot be switched off. */
export const InterlockSettings = v.strictObject({
  deviceStateSeconds: v.optional(members.deviceStateSeconds, 60),
  foregroundSeconds: v.optional(members.foregroundSeconds, 300),
  batteryPercent: v.optional(members.batteryPercent, 30),
  recheckMinutes: v.optional(members.recheckMinutes, 30),
  windows: v.optional(members.windows, true),
});
export type InterlockSettings = v.InferOutput<typeof InterlockSettings>;

/** Some other settings, to see what they would have done. */
export const InterlockChanges = v.partial(v.strictObject(members));
export type InterlockChanges = v.InferOutput<typeof InterlockChanges>;

/** The settings where nothing is said. */
export const defaultInterlock: InterlockSettings = v.parse(InterlockSettings, {});

/**
 * The settings as a function gets them.
 *
 * @param text JSON, which was checked when it was deployed
 * @throws Error when it is not what it was checked to be
 */
export const readInterlock = (text: string): InterlockSettings => v.parse(InterlockSettings, JSON.parse(text));
