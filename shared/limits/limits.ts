import * as v from 'valibot';

/** What can be done to only so many devices in an hour. `revoke` is the revocation of a device's certificate. */
export const LimitedType = {
  Wipe: 'wipe',
  Revoke: 'revoke',
  InstallUpdate: 'install-update',
  Lock: 'lock',
  Restart: 'restart',
} as const;
export type LimitedType = (typeof LimitedType)[keyof typeof LimitedType];

/** Most devices of one window. More would not fit into its item, and would be no limit. */
export const largestCount = 500;

const counted = (description: string) =>
  v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(largestCount), v.description(description));
const count = counted('Maximum number of devices within any hour');
const percent = v.pipe(
  v.number(),
  v.minValue(0),
  v.maxValue(100),
  // A share of nearly nothing cannot be stored, and means one device as 0 does.
  v.check((share) => share === 0 || share >= 0.01, 'must be 0, or at least 0.01'),
  v.description(
    "Maximum share of the place's enrolled devices, in percent; the smaller of `count` and `percent` applies",
  ),
);

/** The smaller of a number of devices and a share of the enrolled devices of the place; always at least one device. */
const PlaceLimit = v.strictObject({ count, percent });
const TypeLimits = v.strictObject({ network: v.strictObject({ count }), site: PlaceLimit, unit: PlaceLimit });
export type TypeLimits = v.InferOutput<typeof TypeLimits>;

/** How many devices may be touched within any 60 minutes, by type and place; and what else a person can do alone. */
export const Limits = v.strictObject({
  [LimitedType.Wipe]: TypeLimits,
  [LimitedType.Revoke]: TypeLimits,
  [LimitedType.InstallUpdate]: TypeLimits,
  [LimitedType.Lock]: TypeLimits,
  [LimitedType.Restart]: TypeLimits,
  breakGlass: v.strictObject({
    person: counted('Maximum number of break-glass commands by one person within any hour'),
    network: counted('Maximum number of break-glass commands in the network within any hour'),
  }),
  bulkWithoutApproval: v.pipe(
    v.number(),
    v.integer(),
    v.minValue(1),
    v.maxValue(1_000),
    v.description('A request for more devices than this needs a second person, whatever its type'),
  ),
});
export type Limits = v.InferOutput<typeof Limits>;

/** The limits of a new deployment (docs/safety.md, R4 and R12). */
export const defaultLimits: Limits = {
  wipe: { network: { count: 40 }, site: { count: 10, percent: 5 }, unit: { count: 2, percent: 10 } },
  revoke: { network: { count: 40 }, site: { count: 10, percent: 5 }, unit: { count: 2, percent: 10 } },
  'install-update': { network: { count: 200 }, site: { count: 20, percent: 5 }, unit: { count: 3, percent: 20 } },
  lock: { network: { count: 200 }, site: { count: 50, percent: 25 }, unit: { count: 10, percent: 50 } },
  // A ward may restart all it has; nobody restarts a network, however many small requests it is cut into.
  restart: { network: { count: 500 }, site: { count: 100, percent: 100 }, unit: { count: 30, percent: 100 } },
  breakGlass: { person: 1, network: 5 },
  bulkWithoutApproval: 25,
};

/** Whether the type is limited. */
export const isLimited = (type: string): type is LimitedType => Object.values<string>(LimitedType).includes(type);

/** Devices that are enough to know the limit: with more of them it stays `count`. */
export const enoughDevices = (limit: { readonly count: number; readonly percent: number }): number =>
  limit.percent === 0 ? 0 : Math.ceil((limit.count * 100) / limit.percent);

/** The limit of a place with so many enrolled devices. */
export const limitOf = (limit: { readonly count: number; readonly percent: number }, devices: number): number =>
  Math.max(1, Math.min(limit.count, Math.floor((limit.percent * devices) / 100)));

/** The places that limits are for, as decisions name them. */
export const placeNames = {
  network: 'the network',
  site: (siteId: string | undefined) => `site ${siteId ?? '(none)'}`,
  unit: (unitId: string) => `unit ${unitId}`,
} as const;
