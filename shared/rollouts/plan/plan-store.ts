import type { Objects } from '../../aws/s3-objects.ts';
import { digestOf, type SitePlan } from './plan.ts';
import { planKey } from './site-summary.ts';

/** A stored plan is not there, or is not what its digest says. Nothing is rolled out by it. */
export class PlanDamaged extends Error {
  constructor(key: string, what: string) {
    super(`${key} ${what}.`);
    this.name = 'PlanDamaged';
  }
}

/** The plans of sites: too large for a table, and never changed. */
export class PlanStore {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Stores a plan. The same plan again changes nothing that its digest tells of. */
  async put(rolloutId: string, plan: SitePlan): Promise<void> {
    await this.#objects.put(planKey(rolloutId, plan.siteId, plan.digest), JSON.stringify(plan));
  }

  /**
   * The plan of a site.
   *
   * @param digest as the summary of the site has it
   * @throws PlanDamaged when it is not there, or has another digest
   */
  async get(rolloutId: string, siteId: string, digest: string): Promise<SitePlan> {
    const key = planKey(rolloutId, siteId, digest);
    const content = await this.#objects.read(key);
    if (content === undefined) throw new PlanDamaged(key, 'is not there');
    const plan = JSON.parse(content) as SitePlan;
    if (plan.siteId !== siteId || plan.digest !== digest || digestOf(siteId, plan.waves) !== digest) {
      throw new PlanDamaged(key, 'is not what its digest says');
    }
    return plan;
  }
}
