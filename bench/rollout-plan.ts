import { defaultWaves } from '../shared/rollouts/gate/wave-definition.ts';
import { RolloutOrder } from '../shared/rollouts/plan/order.ts';
import { planDigest, planSites } from '../shared/rollouts/plan/plan.ts';
import { fleet, fleetCandidates, fleetIds } from './rollout-fleet.ts';

/**
 * Part of `npm run bench:rollout`: plans a rollout for 1,000,000 devices in 40 sites, which come one by one as a store would page
 * them, and says how long it takes beside a bare sort of the same ids, and how much memory it needed at most.
 */
const ids = fleetIds();
const before = process.resourceUsage().maxRSS / 1_024;
const { devices, sites } = fleet;

const begun = performance.now();
const request = {
  rolloutId: 'r-bench',
  selection: { versions: { from: '4.0', below: '5.0' } },
  target: '5.0.0',
  waves: defaultWaves(['u-0-0']),
  order: RolloutOrder.PilotFirst,
};
const waves: number[] = request.waves.map(() => 0);
const digests: { siteId: string; digest: string }[] = [];
for await (const plan of planSites(request, () => fleetCandidates(ids))) {
  for (const [wave, members] of plan.waves.entries()) waves[wave] = (waves[wave] ?? 0) + members.length;
  digests.push({ siteId: plan.siteId, digest: plan.digest });
}
const seconds = (performance.now() - begun) / 1_000;
const memory = process.resourceUsage().maxRSS / 1_024;

const bareBegun = performance.now();
ids.sort();
const bareSeconds = (performance.now() - bareBegun) / 1_000;

console.log(
  `plan of ${devices.toLocaleString('en-US')} devices in ${sites} sites, digest ${planDigest(digests).slice(0, 12)}`,
);
for (const [wave, count] of waves.entries()) {
  console.log(`  ${(request.waves[wave]?.name ?? '').padEnd(22)} ${count.toLocaleString('en-US').padStart(9)} devices`);
}
console.log(`time            ${seconds.toFixed(1)} s, of at most 60`);
console.log(`bare sort       ${bareSeconds.toFixed(1)} s of the same ids; ratio ${(seconds / bareSeconds).toFixed(1)}`);
console.log(
  `memory at most  ${memory.toFixed(0)} MiB, of at most 1,024; ${before.toFixed(0)} of it before, for the ids`,
);
const planned = waves.reduce((sum, count) => sum + count, 0);
if (planned !== devices || seconds > 60 || memory > 1_024) process.exitCode = 1;
