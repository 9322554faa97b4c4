import type { DevicesAnswer, RolloutAnswer, TimelineAnswer } from './answers.ts';

/** All that is shown at once. */
export interface Watched {
  readonly rollout: RolloutAnswer;
  /** Some of those that wait. */
  readonly waiting: DevicesAnswer['items'];
  /** Newest first. */
  readonly timeline: TimelineAnswer['items'];
}

/** Characters of a progress bar. */
const barWidth = 24;

const through = ['succeeded'];
const wrong = ['failed', 'timed-out', 'rolled-back', 'rejected'];
const underWay = ['activating', 'verifying'];
const waits = ['queued', 'deferred', 'staged', 'armed'];

/**
 * The rollout as lines for a terminal of this width: a bar for each wave, what its gate has seen, who waits for what,
 * and what happened last. `#` succeeded, `!` failed, `>` installing, `~` waiting, `.` not started.
 */
export function screen({ rollout, waiting, timeline }: Watched, columns: number): string[] {
  const { definition, id, state, since, words, waves, counts, back } = rollout;
  const { kind, name, version } = definition.artifact;
  const widest = Math.min(28, Math.max(0, ...waves.map((wave) => plain(wave.name).length)));
  const lines = [
    `${definition.name}  (${id}: ${kind} ${name} ${version})`,
    `${state} since ${since}`,
    words,
    '',
    ...waves.flatMap((wave, index) => waveLines(wave, index, widest)),
    '',
    ...(back === undefined ? [] : [`Rolling back: ${listOf(back.states) || 'none yet'}`, '']),
    `Waiting: ${listOf({ ...onTheirWay(counts.states), ...counts.waiting }) || 'none'}`,
    ...waiting.map(
      (device) => `  ${device.deviceId}${device.until === undefined ? '' : ` until ${device.until}`}: ${device.words}`,
    ),
    '',
    'Timeline, newest first',
    ...timeline.map((entry) => `  ${entry.at}  ${entry.words}`),
  ];
  return lines.map((line) => shortened(plain(line), columns));
}

function waveLines(wave: RolloutAnswer['waves'][number], index: number, widest: number): string[] {
  const { name, devices, state, states, gate, words } = wave;
  const ended = countOf(states, [...through, ...wrong]);
  const title = `${String(index + 1).padStart(2)} ${plain(name).slice(0, widest).padEnd(widest)}`;
  const lines = [`${title} [${bar(devices, states)}] ${ended}/${devices} ${state}`];
  const indent = ' '.repeat(4);
  if (state === 'skipped') return lines;
  const counts = listOf(states);
  if (counts !== '') lines.push(`${indent}${counts}`);
  if (gate !== undefined && state !== 'promoted') lines.push(`${indent}${gateLine(gate)}`);
  lines.push(`${indent}${words}`);
  return lines;
}

function gateLine({ seen, missing, failuresToStop }: NonNullable<RolloutAnswer['waves'][number]['gate']>): string {
  const all = seen.success + seen.failure;
  const more = Math.max(missing.comeThrough, missing.report);
  const needs = more === 0 ? 'enough evidence' : `${more} more must come through without a failure`;
  return `gate: ${seen.failure} of ${all} failed; ${needs}; ${failuresToStop} more ${failuresToStop === 1 ? 'failure stops' : 'failures stop'} it`;
}

/** Each kind gets its part; whoever is there at all is seen. */
function bar(devices: number, states: Readonly<Record<string, number>>): string {
  if (devices === 0) return ' '.repeat(barWidth);
  const parts = (
    [
      ['#', through],
      ['!', wrong],
      ['>', underWay],
      ['~', waits],
    ] as const
  ).map(([sign, kinds]) => {
    const count = countOf(states, kinds);
    return sign.repeat(count === 0 ? 0 : Math.max(1, Math.floor((count * barWidth) / devices)));
  });
  return parts.join('').padEnd(barWidth, '.').slice(0, barWidth);
}

const countOf = (states: Readonly<Record<string, number>>, kinds: readonly string[]): number =>
  kinds.reduce((sum, kind) => sum + (states[kind] ?? 0), 0);

/** Those that wait for nothing but their turn, or their next check-in. */
const onTheirWay = ({ queued = 0, staged = 0, armed = 0 }: Readonly<Record<string, number>>) => ({
  queued,
  staged,
  armed,
});

const listOf = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');

/** Names and reasons are what people typed: nothing in them may move the cursor. */
const plain = (text: string): string => text.replaceAll(/\p{C}/gu, ' ');

const shortened = (line: string, columns: number): string =>
  line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 3))}...`;
