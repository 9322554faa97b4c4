import { hash } from 'node:crypto';
import type { DeviceId } from '../../devices/device.ts';
import type { Candidate } from './selection.ts';

/** In which order devices come. */
export const RolloutOrder = {
  /** The pilot places, then by lot. */
  PilotFirst: 'pilot-first',
  /** The same waves, and in each of them the devices with an open advisory, a high risk, or a unit at high risk before the others. */
  RiskFirst: 'risk-first',
} as const;
export type RolloutOrder = (typeof RolloutOrder)[keyof typeof RolloutOrder];

/**
 * The lot that a device or place draws in a rollout: the first 48 bits of SHA-256 over the rollout's id followed by
 * the other id. Anybody can reckon it again (`printf %s%s <rollout> <device> | sha256sum`), it is the same whoever else
 * takes part, and each rollout draws anew, so that the same devices are not always first.
 */
export function lotOf(rolloutId: string, id: string): number {
  return Number.parseInt(hash('sha256', rolloutId + id, 'hex').slice(0, 12), 16);
}

/**
 * How much a device is at risk, as one number that is compared only: an open advisory, then its score, then its unit's.
 *
 * @param unitScore 0 to 100
 */
export function riskOf({ openAdvisory, riskScore = 0 }: Candidate, unitScore = 0): number {
  return (openAdvisory === true ? 1_000_000 : 0) + Math.round(riskScore) * 1_000 + Math.round(unitScore);
}

/** What a device adds to the score of its unit, 0 to 100: one with an open advisory as much as any can. */
export const scoreOf = ({ openAdvisory, riskScore = 0 }: Candidate): number =>
  openAdvisory === true ? 100 : riskScore;

/** A device with its lot. */
export interface Drawn {
  readonly id: DeviceId;
  readonly stratum: string;
  readonly lot: number;
  /** `riskOf` when it counts in this rollout, otherwise 0 for all. */
  readonly risk: number;
}

const byRiskAndLot = (a: Drawn, b: Drawn): number =>
  b.risk - a.risk || a.lot - b.lot || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/**
 * Where each device stands in its stratum, from 0 (the first) to less than 1: rank / size. A share of p takes those
 * below p. So each stratum gives its part and at least one device, and a larger share keeps the devices of the smaller.
 *
 * @returns in the order of admission: the first of all strata, then on at the same pace in all of them; before that,
 * by risk when it counts
 */
export function standings<Of extends Drawn>(
  drawn: readonly Of[],
): { readonly device: Of; readonly standing: number }[] {
  const strata = new Map<string, Of[]>();
  for (const device of drawn) {
    const stratum = strata.get(device.stratum);
    if (stratum === undefined) strata.set(device.stratum, [device]);
    else stratum.push(device);
  }
  const all = [...strata.values()].flatMap((devices) =>
    devices.sort(byRiskAndLot).map((device, rank) => ({ device, standing: rank / devices.length })),
  );
  return all.sort(
    (a, b) => b.device.risk - a.device.risk || a.standing - b.standing || byRiskAndLot(a.device, b.device),
  );
}
