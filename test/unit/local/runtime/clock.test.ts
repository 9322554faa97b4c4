import { runningClock } from '../../../../local/runtime/clock.ts';
import { readTime } from '../../../../local/runtime/shared-time.ts';

const hour = 3_600_000;

test('what is planned comes sooner when the clock is made to run faster', async () => {
  const clock = runningClock(1_000, 1);
  const order: string[] = [];
  const last = new Promise<void>((done) => {
    clock.at(clock.now() + 2 * hour, () => {
      order.push('two hours');
      done();
    });
  });
  clock.at(clock.now() + hour, () => order.push('an hour'));
  const cancel = clock.at(clock.now() + hour, () => order.push('cancelled'));
  cancel();
  clock.setSpeed(hour);
  await last;
  expect(order).toEqual(['an hour', 'two hours']);
  expect(clock.now()).toBeGreaterThanOrEqual(1_000 + 2 * hour);
  clock.stop();
});

test('a change of speed makes no jump, and other threads see it', () => {
  const clock = runningClock(1_000, 1);
  const before = clock.now();
  clock.setSpeed(1_000);
  const after = clock.now();
  expect(after - before).toBeGreaterThanOrEqual(0);
  expect(after - before).toBeLessThan(hour);
  const wall = Date.now() + 1_000;
  expect(readTime(clock.shared, wall) - readTime(clock.shared, wall - 1_000)).toBe(1_000_000);
  clock.stop();
});

test('hours that are left out bring what was planned in them at once, in its order, and nothing that comes later', async () => {
  const clock = runningClock(1_000, 1);
  const order: string[] = [];
  const last = new Promise<void>((done) => {
    clock.at(clock.now() + 2 * hour, () => {
      order.push('two hours');
      done();
    });
  });
  clock.at(clock.now() + 4 * hour, () => order.push('four hours'));
  clock.at(clock.now() + hour, () => order.push('an hour'));
  clock.skip(3 * hour);
  await last;
  expect(order).toEqual(['an hour', 'two hours']);
  expect(clock.speed).toBe(1);
  expect(clock.now() - 1_000 - 3 * hour).toBeLessThan(hour);
  clock.stop();
});

test('what is stopped never happens', async () => {
  const clock = runningClock(0, hour);
  let happened = false;
  clock.at(clock.now() + hour, () => {
    happened = true;
  });
  clock.stop();
  await new Promise((done) => setTimeout(done, 10));
  expect(happened).toBe(false);
});
