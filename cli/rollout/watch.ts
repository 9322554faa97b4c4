import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as v from 'valibot';
import { ApiClient, apiAddress } from '../client/api.ts';
import { parsed, UsageError } from '../client/usage.ts';
import { DevicesAnswer, RolloutAnswer, TimelineAnswer } from './answers.ts';
import { screen, type Watched } from './screen.ts';

const help = `Usage: npm run -s wardline -- rollout watch ID [--interval SECONDS] [--once] [--api URL]

Follows a rollout until it ends: a bar for each wave, what its gate has seen and still needs, which devices wait for
what and until when, and the latest events.

  # succeeded   ! failed   > installing   ~ waiting   . not started

  --interval SECONDS  time between updates, 1 to 3600 (default 5)
  --once              show the current state and exit
  --api URL           address of the API (default: $WARDLINE_API, else the local cloud running in this folder)
  --help              show this

Set WARDLINE_TOKEN to an access token of your OpenID provider (locally: npm run -s token -- --user NAME).

Exit code: 0 if the rollout completed, or with --once; 1 if it ended any other way; 2 if the command line is invalid.`;

/** Nothing happens by itself any more in these states. */
const ends = ['completed', 'aborted', 'rolled-back', 'rollback-partial', 'rejected', 'expired', 'superseded'];

/** Devices and lines of the timeline that are shown. */
const [mostWaiting, mostEntries] = [5, 8];

/** Devices that are asked for: a page holds those that match of what was looked at. */
const pageSize = '100';

/** `wardline rollout watch`. */
export async function rolloutWatch(args: readonly string[]): Promise<number> {
  const { values, positionals } = parsed(
    () =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: {
          interval: { type: 'string', default: '5' },
          once: { type: 'boolean', default: false },
          api: { type: 'string' },
          help: { type: 'boolean', short: 'h' },
        },
      }),
    help,
  );
  if (values.help) {
    console.log(help);
    return 0;
  }
  const [id, more] = positionals;
  if (id === undefined || more !== undefined || !/^[A-Za-z0-9-]{1,80}$/.test(id)) {
    throw new UsageError('Name one rollout by its id.', help);
  }
  const seconds = Number(values.interval);
  if (!(seconds >= 1 && seconds <= 3_600)) throw new UsageError('--interval must be 1 to 3600 seconds.', help);
  const address = apiAddress(values.api);
  if (address === undefined) throw new UsageError('Where is the API? Give --api or WARDLINE_API.', help);
  const token = process.env['WARDLINE_TOKEN'];
  if (token === undefined || token === '') throw new UsageError('WARDLINE_TOKEN is not set.', help);

  const api = new ApiClient(address, token);
  let before = '';
  for (;;) {
    const watched = await look(api, id);
    const shown = screen(watched, process.stdout.columns ?? 200).join('\n');
    // In a file or a pipe the same again says nothing; a terminal is written anew, so that its size may change.
    if (process.stdout.isTTY && !values.once) process.stdout.write(`\u001b[H\u001b[J${shown}\n`);
    else if (shown !== before) process.stdout.write(`${before === '' ? '' : '\n'}${shown}\n`);
    before = shown;
    const { state } = watched.rollout;
    if (values.once) return 0;
    if (ends.includes(state)) return state === 'completed' ? 0 : 1;
    await sleep(seconds * 1_000);
  }
}

async function look(api: ApiClient, id: string): Promise<Watched> {
  const [rollout, waiting, timeline] = await Promise.all([
    api.get(`/rollouts/${id}`, {}),
    api.get(`/rollouts/${id}/devices`, { state: 'deferred', limit: pageSize }),
    api.get(`/rollouts/${id}/timeline`, { limit: String(mostEntries) }),
  ]);
  return {
    rollout: v.parse(RolloutAnswer, rollout),
    waiting: v.parse(DevicesAnswer, waiting).items.slice(0, mostWaiting),
    timeline: v.parse(TimelineAnswer, timeline).items,
  };
}
