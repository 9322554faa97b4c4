import type { Definition, State } from '../../infra/state-machines/parts.ts';
import { waitSeconds } from '../../infra/state-machines/parts.ts';
import { rolloutDefinition } from '../../infra/state-machines/rollout.ts';
import { siteRolloutDefinition, turnsOfExecution } from '../../infra/state-machines/site-rollout.ts';
import { sitesOfPart } from '../../shared/rollouts/machines/site-progress.ts';

/** What Step Functions takes: an execution with more events fails. */
const mostEvents = 25_000;
const year = 365 * 86_400;

type States = Readonly<Record<string, State>>;
const list = (value: unknown): readonly Readonly<Record<string, unknown>>[] => (Array.isArray(value) ? value : []);

/** The states that a state leads to. */
function nextOf(state: State): string[] {
  const choices = list(state['Choices']).map((choice) => choice['Next']);
  const caught = list(state['Catch']).map((catcher) => catcher['Next']);
  return [state['Next'], state['Default'], ...choices, ...caught].filter((next) => next !== undefined).map(String);
}

/**
 * Events that a visit of a state writes into the history, without retries
 * (https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html).
 */
function eventsOf(state: State): number {
  switch (state['Type']) {
    case 'Task':
      // Entered, scheduled, started, succeeded, exited; submitted where somebody else ends it.
      return /\.(waitForTaskToken|sync:2)$/.test(String(state['Resource'])) ? 6 : 5;
    case 'Fail':
    case 'Succeed':
    case 'Choice':
    case 'Pass':
    case 'Wait':
      return 2;
    default:
      throw new Error(`unknown: ${String(state['Type'])}`);
  }
}

/** Events of a way through the states, each of which must lead to the next. */
function eventsAlong(states: States, way: readonly string[]): number {
  return way.reduce((sum, name, index) => {
    const state = states[name];
    if (state === undefined) throw new Error(`There is no state ${name}.`);
    const next = way[index + 1];
    if (next !== undefined) expect([name, nextOf(state)]).toEqual([name, expect.arrayContaining([next])]);
    return sum + eventsOf(state);
  }, 0);
}

/** Events that all retries of a state's errors add: failed, scheduled, started. */
const retriesOf = (state: State | undefined): number =>
  list(state?.['Retry']).reduce((sum, retrier) => sum + 3 * Number(retrier['MaxAttempts']), 0);

describe('SiteRollout', () => {
  const { States: states } = siteRolloutDefinition;
  const wave = ['Wave', 'WhatNow', 'Window', 'MayBegin', 'Dispatch', 'Told', 'Monitor', 'Gate', 'NextWave'];
  const part = ['Told', 'Pace', 'Dispatch'];
  const turn = [
    'Gate',
    'Hold',
    'Held',
    'Turn',
    'Fresh',
    'Wave',
    'WhatNow',
    'Window',
    'MayBegin',
    'Dispatch',
    'Told',
    'Monitor',
  ];

  test('its history has room for 20 waves of a site with 100,000 devices, 100 turns in which all is retried, and a year', () => {
    const waves = 20 * eventsAlong(states, [...wave, 'Wave']) - 20 * eventsAlong(states, ['Wave']);
    expect(waves).toBe(640);
    const parts = 100 * eventsAlong(states, part);
    expect(parts).toBe(900);
    const retried = turn.reduce((sum, name) => sum + retriesOf(states[name]), 0);
    const turns = turnsOfExecution * (eventsAlong(states, turn) + retried);
    const renewed = Math.ceil(year / Math.min(...Object.values(waitSeconds))) * 6;
    const end = eventsAlong(states, ['WhatNow', 'Watch', 'Watched', 'RollBack', 'AllBack', 'Back', 'Over']);
    const back = 200 * eventsAlong(states, ['BackPace', 'RollBack', 'AllBack']);
    const all = waves + parts + turns + renewed + end + back;
    expect(all).toBeLessThan(mostEvents * 0.8);
    // Otherwise the bound would say nothing: most of it are turns, and those are counted.
    expect(turns).toBeGreaterThan(all / 2);
  });

  test('no way leads back to where it was without a wait, or a turn that is counted', () => {
    // What is left when the states that take time, and the one that counts, are taken out has no circle.
    const slow = new Set(
      Object.entries(states)
        .filter(([, state]) => state['Type'] === 'Wait' || String(state['Resource']).endsWith('.waitForTaskToken'))
        .map(([name]) => name),
    );
    const left = Object.keys(states).filter((name) => !slow.has(name) && name !== 'Turn');
    const visiting = new Set<string>();
    const done = new Set<string>();
    const visit = (name: string): void => {
      if (done.has(name) || !left.includes(name)) return;
      expect([name, visiting.has(name)]).toEqual([name, false]);
      visiting.add(name);
      for (const next of nextOf(states[name] ?? {})) visit(next);
      visiting.delete(name);
      done.add(name);
    };
    for (const name of left) visit(name);
  });
});

describe('Rollout', () => {
  const map = (state: State | undefined) => state?.['ItemProcessor'] as Definition | undefined;
  const { States: states } = rolloutDefinition;
  const sites = map(states['Parts'])?.States['SitesOfPart'];
  const perSite = map(sites)?.States ?? {};
  const iteration = 2;
  const mapItself = 4;

  test('its history has room for 1,600 sites that are all lost', () => {
    const site = iteration + eventsAlong(perSite, ['Site', 'SiteLost']);
    expect(site).toBe(10);
    const parts = 40 * (iteration + mapItself) + mapItself;
    const others = eventsAlong(states, ['Sites']) + eventsAlong(states, ['Finish', 'Finished', 'BackRound', 'Over']);
    const renewed = Math.ceil(year / waitSeconds.finish) * 6;
    const retried = ['Sites', 'Finish', 'BackRound'].reduce((sum, name) => sum + retriesOf(states[name]), 0);
    expect(1_600 * site + parts + others + renewed + retried).toBeLessThan(mostEvents * 0.8);
  });

  test('all sites of a rollout are under way at the same time', () => {
    expect([states['Parts']?.['MaxConcurrency'], sites?.['MaxConcurrency']]).toEqual([40, sitesOfPart]);
  });
});

describe.each([
  ['Rollout', rolloutDefinition],
  ['SiteRollout', siteRolloutDefinition],
])('%s', (_, definition) => {
  const all: [string, State][] = [];
  const collect = (states: States): void => {
    for (const [name, state] of Object.entries(states)) {
      all.push([name, state]);
      const inner = state['ItemProcessor'] as Definition | undefined;
      if (inner !== undefined) collect(inner.States);
    }
  };
  collect(definition.States);

  test('no task ends it but the one that hands over: what fails is caught, and Lambda is asked again', () => {
    for (const [name, state] of all.filter(([, one]) => one['Type'] === 'Task')) {
      if (name === 'HandOver') continue;
      const caught = list(state['Catch']).flatMap((catcher) => catcher['ErrorEquals']);
      expect([name, caught]).toEqual([name, expect.arrayContaining(['States.ALL'])]);
      if (!String(state['Resource']).includes('lambda:invoke')) continue;
      const retried = list(state['Retry']).flatMap((retrier) => retrier['ErrorEquals']);
      expect([name, retried]).toEqual([
        name,
        expect.arrayContaining(['Lambda.ServiceException', 'Lambda.TooManyRequestsException']),
      ]);
    }
  });

  test('every wait has an end, and begins anew then', () => {
    const waits = all.filter(([, state]) => String(state['Resource']).endsWith('.waitForTaskToken'));
    expect(waits.length).toBeGreaterThan(0);
    for (const [name, state] of waits) {
      expect(state['TimeoutSeconds']).toBeGreaterThan(0);
      expect(list(state['Catch'])[0]).toMatchObject({ ErrorEquals: ['States.Timeout'], Next: name });
      // A retrier that takes all errors must leave this one to the catcher.
      const [first] = list(state['Retry']);
      if (JSON.stringify(state['Retry']).includes('States.ALL')) {
        expect(first).toMatchObject({ ErrorEquals: ['States.Timeout'], MaxAttempts: 0 });
      }
    }
  });

  test('every state is reached, and every way leads to a state', () => {
    const names = new Set(all.map(([name]) => name));
    const starts = [
      definition.StartAt,
      ...all.flatMap(([, state]) => (state['ItemProcessor'] as Definition | undefined)?.StartAt ?? []),
    ];
    const reached = new Set([...starts, ...all.flatMap(([, state]) => nextOf(state))]);
    expect([...names].sort()).toEqual([...reached].sort());
  });
});
