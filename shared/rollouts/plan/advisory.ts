import type { Candidate, Selection } from './selection.ts';
import { compareVersions } from './version-order.ts';

/**
 * A security advisory or field safety notice that the artifact answers, as its publisher words it (CSAF 2.0: tracking id,
 * `known_affected` products). People name it with the rollout, so that two of them approve what comes first.
 */
export interface Advisory {
  /** As the publisher calls it: `ICSMA-27-045-01`, `CVE-2027-1234`, the number of a field safety notice. */
  readonly id: string;
  /** Which models are affected; left out, all that the rollout is for. */
  readonly models?: readonly string[];
  /** Which versions of what the artifact replaces are affected; left out, all. */
  readonly versions?: NonNullable<Selection['versions']>;
}

/**
 * Whether an advisory is open on a device. One that does not say its model, or a version that can be compared, counts as
 * affected: nobody has excluded it.
 */
export const isOpenOn = (
  { models, versions = {} }: Advisory,
  { model, version }: Pick<Candidate, 'model' | 'version'>,
): boolean =>
  (models === undefined || model === undefined || models.includes(model)) &&
  (versions.from === undefined || order(version, versions.from) >= 0) &&
  (versions.below === undefined || order(version, versions.below, -1) < 0);

const order = (version: string | undefined, bound: string, unknown = 0): number =>
  (version === undefined ? undefined : compareVersions(version, bound)) ?? unknown;
