import { StateMachine } from 'aws-local-stepfunctions';
import type { Definition } from '../infra/state-machines/parts.ts';
import { rolloutDefinition } from '../infra/state-machines/rollout.ts';
import { siteRolloutDefinition } from '../infra/state-machines/site-rollout.ts';
import { prepareDefinition } from '../local/services/states/definition.ts';
import { devicesOfCall } from '../shared/rollouts/machines/dispatch.ts';
import { nextProgress, partsOf, progressAfter, type SiteProgress } from '../shared/rollouts/machines/site-progress.ts';

type Json = Readonly<Record<string, unknown>>;

/** Times that a wait of 2 days runs out and is begun anew, in a rollout of two weeks. */
const waitsAnew = 7;

/**
 * State transitions of a whole rollout that goes well: the deployed definitions are run with answers as the functions
 * give them, and the states that were entered are counted.
 *
 * @param sites for each site the number of its devices in each wave
 */
export async function transitionsOf(sites: readonly (readonly number[])[]): Promise<number> {
  const summaries = sites.map((devices, index) => ({ siteId: `s-${index}`, devices }));
  const parent = await entered(rolloutDefinition, { rolloutId: 'ro-1' }, (state) =>
    state === 'Sites' ? { Payload: { parts: partsOf(summaries), next: 'ro-1-back-1' } } : { verdict: 'DONE' },
  );
  // Sites with the same waves take the same way.
  const ways = new Map<string, { readonly devices: readonly number[]; count: number }>();
  for (const devices of sites) {
    const way = ways.get(devices.join()) ?? { devices, count: 0 };
    way.count += 1;
    ways.set(devices.join(), way);
  }
  let all = parent;
  for (const { devices, count } of ways.values()) all += count * (await transitionsOfSite(devices));
  return all;
}

async function transitionsOfSite(devices: readonly number[]): Promise<number> {
  let anew = 0;
  const input = {
    ...{ rolloutId: 'ro-1', siteId: 's-1', name: 'ro-1-s-1', generation: 0, turn: { count: 0 } },
    ...{ wave: { index: -1, stage: 'passed', next: 0, again: -1 }, back: { after: '', told: 0, more: true } },
  };
  return entered(siteRolloutDefinition, input, (state, parameters) => {
    const { wave } = parameters['Payload'] as { readonly wave: SiteProgress };
    switch (state) {
      case 'Wave':
        return { Payload: nextProgress(wave, { devices }) };
      case 'Dispatch': {
        const next = wave.next + devicesOfCall;
        const more = next < (devices[wave.index] ?? 0);
        return {
          Payload: progressAfter(wave, more ? { kind: 'more', cursor: { next, again: -1 } } : { kind: 'done' }),
        };
      }
      case 'Window':
        return { verdict: 'OPEN' };
      case 'Monitor':
        if (anew < waitsAnew) {
          anew += 1;
          throw Object.assign(new Error('The wait is begun anew.'), { name: 'States.Timeout' });
        }
        return { verdict: 'PROMOTE' };
      default:
        return { verdict: 'DONE' };
    }
  });
}

/** Runs a definition without its waits, and counts the states that are entered. */
async function entered(
  definition: Definition,
  input: Json,
  answer: (state: string, parameters: Json) => Json,
): Promise<number> {
  const prepared = prepareDefinition(definition as never);
  const calls = new Map<string, number>();
  const handlers = Object.fromEntries(
    [...prepared.plans].map(([name, plan]) => [
      name,
      async (parameters: Json) => {
        calls.set(name, (calls.get(name) ?? 0) + 1);
        return plan.kind === 'wait' ? parameters : answer(name, parameters);
      },
    ]),
  );
  const run = new StateMachine(prepared.definition as never, { validationOptions: { noValidate: true } }).run(
    input as never,
    {
      overrides: { taskResourceLocalHandlers: handlers as never },
      context: { Execution: { Name: 'ro-1' }, StateMachine: { Id: 'arn' }, Task: { Token: 'token' } } as never,
    },
  );
  const names: string[] = [];
  for await (const event of run.eventLogs) if (event.type === 'StateEntered') names.push(event.state.name);
  await run.result;
  // The log says nothing of the tasks in a Map within a Map.
  const unlogged = [...calls].filter(([name]) => !names.includes(name));
  return unlogged.reduce((sum, [, count]) => sum + count, names.length);
}
