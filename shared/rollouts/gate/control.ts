/** Devices to which something happened in a stretch of time, and all that were watched. */
export interface Observed {
  readonly affected: number;
  readonly watched: number;
}

/** The updated devices of a stratum beside those that are not updated yet, in the same hours. */
export interface Comparison {
  readonly stratum: string;
  readonly updated: Observed;
  readonly notYet: Observed;
}

/** What a comparison comes to. */
export interface ControlResult {
  /** Whether the updated ones fare worse, beyond chance. */
  readonly harm: boolean;
  /** The strata in which they do, the clearest first. */
  readonly findings: readonly (Comparison & { readonly chance: number })[];
}

/**
 * Looks for harm that the installer calls a success: updated devices lose their connection more often than devices of the
 * same stratum that are not updated yet. Both are seen in the same hours, so that a broken access point harms both alike.
 *
 * @param alpha how often harm may be found in all strata together where there is none
 */
export function compareWithControl(comparisons: readonly Comparison[], alpha: number): ControlResult {
  const compared = comparisons.filter(({ updated, notYet }) => updated.watched > 0 && notYet.watched > 0);
  const findings = compared
    .map((comparison) => ({ ...comparison, chance: chanceOfDifference(comparison) }))
    // One of many strata is always the worst: each gets its part of alpha (Bonferroni).
    .filter(({ chance }) => chance <= alpha / compared.length)
    .sort((a, b) => a.chance - b.chance);
  return { harm: findings.length > 0, findings };
}

/**
 * How likely it is by chance alone that so many or more of the affected devices are updated ones: Fisher's exact test, one
 * side (1935). Exact for the small counts of a canary, where approximations are wrong.
 */
export function chanceOfDifference({ updated, notYet }: Pick<Comparison, 'updated' | 'notYet'>): number {
  const affected = updated.affected + notYet.affected;
  const all = updated.watched + notYet.watched;
  const most = Math.min(affected, updated.watched);
  const logAll = logChoose(all, affected);
  let chance = 0;
  for (let count = updated.affected; count <= most; count += 1) {
    chance += Math.exp(logChoose(updated.watched, count) + logChoose(notYet.watched, affected - count) - logAll);
  }
  return Math.min(1, chance);
}

/** Logarithm of n over k; of nothing when k is not within 0 and n. */
function logChoose(n: number, k: number): number {
  return k < 0 || k > n ? Number.NEGATIVE_INFINITY : logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const smallFactorials: number[] = [0];
for (let n = 1; n < 128; n += 1) smallFactorials[n] = (smallFactorials[n - 1] ?? 0) + Math.log(n);

/** Exact for small numbers; Stirling's series above, where it is exact to the last digits. */
function logFactorial(n: number): number {
  const small = smallFactorials[n];
  if (small !== undefined) return small;
  return n * Math.log(n) - n + Math.log(2 * Math.PI * n) / 2 + 1 / (12 * n) - 1 / (360 * n ** 3);
}
