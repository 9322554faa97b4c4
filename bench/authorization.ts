import type { Caller } from '../shared/identity/caller.ts';
import { loadPolicies } from '../shared/identity/policy-set.ts';
import { deviceResource } from '../shared/identity/resource.ts';
import { authenticationOf } from '../shared/identity/step-up.ts';

/**
 * `npm run bench:authorization`: what one authorization decision adds to a request, after the first of a worker, beside
 * a fixed piece of work of the same machine (parsing a JSON document of a request's size), so that the ratio can be
 * compared between machines. Exits with 1 when the median decision takes more than a millisecond.
 */
const limitMilliseconds = 1;
const rounds = 2_000;

const begun = performance.now();
const policies = loadPolicies();
const loading = performance.now() - begun;

const caller: Caller = {
  sub: 'bench',
  roles: ['help-desk', 'site-it'],
  sites: Array.from({ length: 25 }, (_, site) => `s-${String(site).padStart(26, '0')}`),
  status: 'active',
  amr: ['pwd'],
  acr: 'pwd',
  authTime: 0,
};
const now = new Date();
const device = deviceResource({
  id: 'd-bench',
  platform: 'apple',
  class: 'tablet',
  ownership: 'organization',
  lifecycle: 'enrolled',
  siteId: `s-${String(24).padStart(26, '0')}`,
});
const document = JSON.stringify(
  Array.from({ length: 400 }, (_, id) => ({ id, serial: `SERIAL-${id}`, platform: 'apple' })),
);

const decide = () => policies.decide(caller, 'LockDevice', device, authenticationOf(caller, now));
const first = measureOnce(decide);
// Both pieces of work are taken in turns, so that a busy moment of the machine meets both.
const decisions: number[] = [];
const yardstick: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  decisions.push(measureOnce(decide));
  yardstick.push(measureOnce(() => JSON.parse(document)));
}
const decision = median(decisions);
console.log(
  `policies            ${policies.policies.size} (loaded and checked in ${loading.toFixed(0)} ms, once for each worker)`,
);
console.log(`first decision      ${first.toFixed(2)} ms`);
console.log(
  `each further one    ${decision.toFixed(3)} ms median, ${quantile(decisions, 0.99).toFixed(3)} ms at the 99th percentile`,
);
console.log(`yardstick           ${median(yardstick).toFixed(3)} ms to parse ${document.length} bytes of JSON`);
console.log(`ratio               ${(decision / median(yardstick)).toFixed(1)}`);
if (decision > limitMilliseconds) {
  console.error(`A decision takes more than ${limitMilliseconds} ms.`);
  process.exitCode = 1;
}

function measureOnce(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}
