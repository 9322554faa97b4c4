import { paceBySite } from '../../../../shared/rollouts/pace.ts';

/** When each of the calls was let go, milliseconds after the first. */
async function times(sites: readonly string[], perSecond: number): Promise<number[]> {
  const pace = paceBySite(perSecond);
  const begun = performance.now();
  return Promise.all(
    sites.map(async (site) => {
      await pace(site);
      return performance.now() - begun;
    }),
  );
}

test('the executions of a site are written one after the other, however many ask at once', async () => {
  const at = await times(['s-1', 's-1', 's-1', 's-1'], 50);
  // Timers may fire a millisecond early.
  expect(at.map((time, place) => time >= place * 20 - 2)).toEqual([true, true, true, true]);
});

test('sites do not wait for each other, and a site that was quiet does not wait', async () => {
  // One that waited for the other would wait for minutes.
  const [first, other] = await times(['s-1', 's-2'], 0.005);
  expect(Math.max(first ?? 0, other ?? 0)).toBeLessThan(30_000);
});
