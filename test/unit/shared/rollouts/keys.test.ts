import fc from 'fast-check';
import { DeviceClass } from '../../../../shared/devices/device.ts';
import { endOfOpen, sortKeys } from '../../../../shared/devices/keys.ts';
import type { ExecutionStatus } from '../../../../shared/rollouts/executions/execution.ts';
import {
  countedSortKey,
  executedSortKey,
  executionIndexKey,
  executionIndexPrefix,
  executionSortKey,
  groupOf,
  rolloutSortKeys,
} from '../../../../shared/rollouts/keys.ts';
import { storedExecution } from '../../../support/rollouts.ts';

const until = '2027-03-03T00:00:00.000Z';
const waits = (from: 'queued' | 'staged' | 'armed') => ({ state: 'deferred', reason: 'in-use', until, from }) as const;

describe('groupOf', () => {
  test.each<[string, readonly ExecutionStatus[]]>([
    ['Q', [{ state: 'planned' }, { state: 'queued' }, waits('queued')]],
    ['R', [{ state: 'staged' }, { state: 'armed' }, waits('staged'), waits('armed')]],
    ['A', [{ state: 'activating' }, { state: 'verifying' }]],
    [
      'Z',
      [
        ...([
          { state: 'ineligible', reason: 'other-rollout' },
          { state: 'succeeded' },
          { state: 'rolled-back' },
        ] as const),
        ...([
          { state: 'failed', class: 'install' },
          { state: 'timed-out', stage: 'activating' },
        ] as const),
        ...([
          { state: 'rejected', reason: 'no' },
          { state: 'cancelled', reason: 'aborted' },
        ] as const),
      ],
    ],
  ])('%s holds what belongs together', (group, statuses) => {
    for (const status of statuses) expect(groupOf(status)).toBe(group);
  });
});

describe('keys of executions', () => {
  test('sort before the head, so that no check-in reads them', () => {
    const keys = [executionSortKey('firmware'), executedSortKey('ro-1', 'back'), countedSortKey('ro-1', 'forward')];
    for (const key of keys) expect(key < sortKeys.head || key > endOfOpen).toBe(true);
  });

  test('in the index a unit of a class comes by wave, then by rank, whatever the numbers', () => {
    const places = fc.record({ wave: fc.integer({ min: 0, max: 19 }), rank: fc.integer({ min: 0, max: 999_999 }) });
    fc.assert(
      fc.property(places, places, fc.constantFrom(...Object.values(DeviceClass)), (a, b, deviceClass) => {
        const key = (place: { wave: number; rank: number }) =>
          executionIndexKey(storedExecution('d-1', { ...place, class: deviceClass })).gsi2sk;
        const byPlace = a.wave - b.wave || a.rank - b.rank;
        expect(Math.sign(key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0)).toBe(Math.sign(byPlace));
        const prefix = executionIndexPrefix({ group: 'Q', unitId: 'u-1', class: deviceClass });
        expect(key(a).startsWith(prefix)).toBe(true);
      }),
    );
  });

  test('a class or unit is found without those whose names only begin alike', () => {
    const key = (unitId: string) => executionIndexKey(storedExecution('d-1', { unitId })).gsi2sk;
    expect(key('u-10').startsWith(executionIndexPrefix({ group: 'Q', unitId: 'u-1' }))).toBe(false);
  });
});

test('tallies are told apart by direction, wave and site', () => {
  expect(rolloutSortKeys.tally('forward', 2, 's-1')).toBe('TALLY#forward#02#s-1');
  expect(rolloutSortKeys.site('')).toBe('SITE#-');
  expect(rolloutSortKeys.wait(undefined, 'finish')).toBe('WAIT#-#finish');
});
