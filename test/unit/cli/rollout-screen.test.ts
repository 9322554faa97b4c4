import fc from 'fast-check';
import type { RolloutAnswer } from '../../../cli/rollout/answers.ts';
import { screen, type Watched } from '../../../cli/rollout/screen.ts';

const wave = (more: Partial<RolloutAnswer['waves'][number]> = {}): RolloutAnswer['waves'][number] => ({
  ...{ name: 'Lab', devices: 10, state: 'admitting', words: 'Its devices are let in.', states: {}, waiting: {} },
  ...more,
});
const watched = (more: Partial<RolloutAnswer> = {}): Watched => ({
  rollout: {
    ...{ id: 'ro-1', state: 'running', since: '2027-03-01T03:00:00.000Z', words: 'It runs.', waves: [wave()] },
    definition: { name: 'Pumps', artifact: { kind: 'firmware', name: 'LV-8', version: '9.5.0' } },
    counts: { states: {}, waiting: {} },
    ...more,
  },
  waiting: [],
  timeline: [],
});

describe('screen', () => {
  test('shows waves, gate, those who wait and the timeline', () => {
    const gate = { seen: { success: 3, failure: 1 }, missing: { comeThrough: 40, report: 9 }, failuresToStop: 1 };
    const states = { succeeded: 3, failed: 1, activating: 1, deferred: 2, staged: 1 };
    const shown = screen(
      {
        ...watched({
          waves: [wave({ states, gate }), wave({ name: 'The rest', state: 'pending', words: 'It begins later.' })],
          counts: { states, waiting: { 'in-use': 2 } },
          back: { states: { queued: 3 }, waiting: {} },
        }),
        waiting: [
          {
            deviceId: 'd-1',
            siteId: 's-1',
            unitId: 'u-1',
            reason: 'in-use',
            words: 'In use.',
            until: '2027-03-01T04:00:00Z',
          },
        ],
        timeline: [{ at: '2027-03-01T03:00:00Z', words: 'user:ada started it.' }],
      },
      120,
    );
    expect(shown).toEqual([
      'Pumps  (ro-1: firmware LV-8 9.5.0)',
      'running since 2027-03-01T03:00:00.000Z',
      'It runs.',
      '',
      ' 1 Lab      [#######!!>>~~~~~~~......] 4/10 admitting',
      '    3 succeeded, 2 deferred, 1 failed, 1 activating, 1 staged',
      '    gate: 1 of 4 failed; 40 more must come through without a failure; 1 more failure stops it',
      '    Its devices are let in.',
      ' 2 The rest [........................] 0/10 pending',
      '    It begins later.',
      '',
      'Rolling back: 3 queued',
      '',
      'Waiting: 2 in-use, 1 staged',
      '  d-1 until 2027-03-01T04:00:00Z: In use.',
      '',
      'Timeline, newest first',
      '  2027-03-01T03:00:00Z  user:ada started it.',
    ]);
  });

  test('never moves the cursor, is never wider than the terminal, and its bars are always as long', () => {
    const counts = fc.dictionary(
      fc.constantFrom('succeeded', 'failed', 'queued', 'deferred', 'activating', 'ineligible'),
      fc.nat(200),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.nat(1_000),
        counts,
        fc.integer({ min: 40, max: 200 }),
        (name, devices, states, columns) => {
          const lines = screen(watched({ words: name, waves: [wave({ name, devices, states })] }), columns);
          for (const line of lines) {
            expect(line.length).toBeLessThanOrEqual(columns);
            expect(line).not.toMatch(/\p{Cc}/u);
          }
          const [bar = ''] =
            /\[[#!>~. ]{24}\]/.exec(screen(watched({ waves: [wave({ devices, states })] }), 200)[4] ?? '') ?? [];
          expect(bar).toHaveLength(26);
        },
      ),
      { numRuns: 40 },
    );
  });
});
