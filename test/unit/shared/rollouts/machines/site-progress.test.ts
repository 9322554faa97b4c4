import {
  backMachineName,
  machineName,
  nextMachineName,
} from '../../../../../shared/rollouts/machines/machine-names.ts';
import {
  nextProgress,
  partsOf,
  progressAfter,
  type SiteProgress,
  Stage,
} from '../../../../../shared/rollouts/machines/site-progress.ts';

const before: SiteProgress = { index: -1, stage: Stage.Passed, next: 0, again: -1 };

describe('nextProgress', () => {
  test('begins the first wave with devices here, and passes over those without', () => {
    const first = nextProgress(before, { devices: [0, 3, 0, 2] });
    expect(first).toEqual({ index: 1, stage: 'window', next: 0, again: -1 });
    const second = nextProgress({ ...first, stage: Stage.Passed, next: 3 }, { devices: [0, 3, 0, 2] });
    expect(second).toEqual({ index: 3, stage: 'window', next: 0, again: -1 });
    expect(nextProgress({ ...second, stage: Stage.Passed }, { devices: [0, 3, 0, 2] }).stage).toBe('none');
  });

  test.each([
    [Stage.Window, Stage.Window],
    [Stage.Dispatch, Stage.Window],
    [Stage.Later, Stage.Window],
    [Stage.Monitor, Stage.Monitor],
    [Stage.None, Stage.None],
  ])('in %s it goes on in %s, with what was told already', (stage, next) => {
    const progress = { index: 1, stage, next: 70, again: 3 };
    expect(nextProgress(progress, { devices: [0, 100] })).toEqual({ ...progress, stage: next });
  });
});

test('what a call of dispatch came to is the next stage', () => {
  const progress = { index: 1, stage: Stage.Window, next: 0, again: -1 };
  const cursor = { next: 1_000, again: 7 };
  expect(progressAfter(progress, { kind: 'more', cursor })).toEqual({ index: 1, stage: 'dispatch', ...cursor });
  expect(progressAfter(progress, { kind: 'stopped', cursor })).toEqual({ index: 1, stage: 'window', ...cursor });
  expect(progressAfter(progress, { kind: 'later', cursor })).toEqual({ index: 1, stage: 'later', ...cursor });
  expect(progressAfter(progress, { kind: 'done' }).stage).toBe('monitor');
});

test('sites come in the order of their first wave, in parts of 40; those without devices do not', () => {
  const sites = Array.from({ length: 95 }, (_, index) => ({
    siteId: `s-${String(index).padStart(2, '0')}`,
    devices: index === 94 ? [1, 0] : index === 93 ? [0, 0] : [0, 1],
  }));
  const parts = partsOf(sites);
  expect(parts.map(({ length }) => length)).toEqual([40, 40, 14]);
  expect(parts[0]?.slice(0, 2)).toEqual([{ siteId: 's-94' }, { siteId: 's-00' }]);
  expect(partsOf([])).toEqual([]);
});

test('each round of the way back has a name of its own', () => {
  expect([machineName('ro-1'), backMachineName('ro-1', 1)]).toEqual(['ro-1', 'ro-1-back-1']);
  expect(nextMachineName('ro-1', 'ro-1')).toBe('ro-1-back-1');
  expect(nextMachineName('ro-1', 'ro-1-back-1')).toBe('ro-1-back-2');
  expect(nextMachineName('ro-1', 'ro-1-back-41')).toBe('ro-1-back-42');
});
