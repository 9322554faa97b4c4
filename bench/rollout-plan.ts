import { DeviceClass, deviceIdOf } from '../shared/devices/device.ts';
import { RolloutOrder } from '../shared/rollouts/order.ts';
import { planDigest, planSites } from '../shared/rollouts/plan.ts';
import type { Candidate } from '../shared/rollouts/selection.ts';
import { defaultWaves } from '../shared/rollouts/wave-definition.ts';

/**
 * `npm run bench:rollout`: plans a rollout for 1,000,000 devices in 40 sites, which come one by one as a store would page
 * them, and says how long it takes beside a bare sort of the same ids, and how much memory it needed at most.
 */
const [devices, sites, unitsOfSite] = [1_000_000, 40, 30];
const perSite = devices / sites;

// Through a buffer, since a text that was put together from pieces takes ten times the memory of one that was read.
const ids = Array.from({ length: devices }, (_, number) =>
  Buffer.from(deviceIdOf(`BENCH-${number}`)).toString('latin1'),
);
const before = process.resourceUsage().maxRSS / 1_024;

/** A new object for each device, as from a page of the table. */
async function* candidates(): AsyncGenerator<Candidate> {
  for (let number = 0; number < devices; number += 1) {
    const site = Math.floor(number / perSite);
    const unit = number % unitsOfSite;
    yield {
      id: ids[number] ?? '',
      enrolled: true,
      siteId: `s-${site}`,
      unitId: `u-${site}-${unit}`,
      unitType: `T${unit % 4}`,
      class: DeviceClass.InfusionPump,
      model: 'P100',
      hardwareRevision: number % 3 === 0 ? 'B' : 'A',
      version: `4.${number % 5}.0`,
      riskScore: number % 101,
    };
  }
}

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
for await (const plan of planSites(request, candidates)) {
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
