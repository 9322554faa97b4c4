import { bakeEnd } from '../shared/rollouts/gate/bake.ts';
import { judge } from '../shared/rollouts/gate/gate.ts';
import {
  addDeltas,
  countedOf,
  deltaOf,
  evidenceFrom,
  type TallyDelta,
  tallyFrom,
  type WaveTally,
} from '../shared/rollouts/gate/tally.ts';
import { isPassed } from '../shared/rollouts/gate/wave.ts';
import { defaultWaves } from '../shared/rollouts/gate/wave-definition.ts';
import { advanceRollout, draftRollout, type Rollout, type RolloutEvent } from '../shared/rollouts/rollout.ts';
import { Agenda } from '../test/support/agenda.ts';
import { rolloutDefinition } from '../test/support/rollouts.ts';
import { calendarOfSite, fleet, fleetIds } from './rollout-fleet.ts';
import { admitUnit, installs, type UnitToAdmit } from './rollout-unit.ts';

/**
 * Part of `npm run bench:rollout`: lets 1,000,000 devices in 40 sites through a rollout with a simulated clock: rounds,
 * admissions, tallies, gates, bakes and windows by the rules that the functions go by. Says how long that takes beside a
 * bare counter for each unit on the same clock, and how much memory it needed at most.
 */
const begin = Date.parse('2027-03-02T20:00:00.000Z');
const hour = 3_600_000;

/** The part of a unit's devices that may be away at once. */
const spares = 0.08;

/** Most that it may take: seconds of a processor, so that whatever else the machine does does not matter, and MiB. */
const [mostSeconds, mostMemory] = [180, 1_024];

function secondsSince(begin: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1e6;
}

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The units of each wave, as the default waves take them: lab, one unit, the rest of its site, a tenth of the sites, the rest. */
function unitsByWave(): UnitToAdmit[][] {
  const perSite = fleet.devices / fleet.sites;
  const ids = fleetIds();
  const waves: UnitToAdmit[][] = defaultWaves([]).map(() => []);
  for (let site = 0; site < fleet.sites; site += 1) {
    const ofSite = ids.slice(site * perSite, (site + 1) * perSite);
    for (let unit = 0; unit < fleet.unitsOfSite; unit += 1) {
      const members = ofSite.filter((_, number) => (site * perSite + number) % fleet.unitsOfSite === unit);
      const wave = site === 0 ? Math.min(unit, 2) : site <= fleet.sites / 10 - 1 ? 3 : 4;
      waves[wave]?.push({
        ...{ siteId: `s-${site}`, unitId: `u-${site}-${unit}`, calendar: calendarOfSite(site), ids: members },
        ...{ keep: Math.ceil(members.length * (1 - spares)), stratum: `${unit % 3 === 0 ? 'B' : 'A'}/T${unit % 4}` },
      });
    }
  }
  return waves;
}

function apply(rollout: Rollout, event: RolloutEvent, now: number): Rollout {
  const outcome = advanceRollout(rollout, event, rollout.version, now);
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
}

const waves = unitsByWave();
const before = process.resourceUsage().maxRSS / 1_024;
const begun = process.cpuUsage();
const random = randomOf(1);
let rollout = draftRollout('ro-bench', rolloutDefinition({ waves: defaultWaves(['u-0-0']) }), 'user:ada', begin);
const sizes = waves.map((units) => units.reduce((sum, { ids }) => sum + ids.length, 0));
rollout = apply(rollout, { kind: 'planned', digest: 'd', devices: sizes }, begin);
rollout = apply(rollout, { kind: 'submit', by: 'user:ada', approveUntil: begin + hour }, begin);
rollout = apply(rollout, { kind: 'approve', by: 'user:bea', digest: 'd' }, begin);
rollout = apply(rollout, { kind: 'start' }, begin);

let now = begin;
let [admissions, rounds, mostAway] = [0, 0, 0];
const tallies: WaveTally[] = [];
const lines: string[] = [];
for (const [wave, units] of waves.entries()) {
  const opened = now;
  const counts = new Map<string, TallyDelta[]>();
  for (const unit of units) {
    const done = admitUnit(rollout, wave, unit, opened, random);
    now = Math.max(now, done.end);
    admissions += done.admissions;
    rounds += done.rounds;
    mostAway = Math.max(mostAway, done.mostAway);
    const deltas = done.executions.map((execution) => deltaOf(undefined, countedOf(execution), unit));
    counts.set(unit.siteId, [...(counts.get(unit.siteId) ?? []), addDeltas(deltas)]);
  }
  for (const [siteId, deltas] of counts) {
    tallies.push(tallyFrom({ rolloutId: rollout.id, direction: 'forward', wave, siteId }, addDeltas(deltas)));
  }
  const promoted = judgeWave(wave, units);
  lines.push(
    `  ${(rollout.definition.waves[wave]?.name ?? '').padEnd(22)} ${(sizes[wave] ?? 0).toLocaleString('en-US').padStart(9)} devices, ${((now - opened) / hour).toFixed(0)} h on its clock, ${promoted ? 'promoted' : 'NOT PROMOTED'}`,
  );
}

/** The gate, once when all devices are through and once after the bake. */
function judgeWave(wave: number, units: readonly UnitToAdmit[]): boolean {
  const gate = rollout.definition.waves[wave]?.gate;
  const places = [...new Map(units.map(({ calendar }) => [calendar.zone, calendar])).values()];
  for (let look = 0; look < 2 && gate !== undefined; look += 1) {
    const until = rollout.waves[wave]?.bakeUntil;
    if (until !== undefined) now = Math.max(now, Date.parse(until));
    const evidence = { ...evidenceFrom(tallies, wave), safety: [], control: [] };
    const judgement = judge(until === undefined ? evidence : { ...evidence, bakeUntil: Date.parse(until) }, gate, now);
    const bakeUntil = bakeEnd(now, 24, places);
    rollout = apply(rollout, { kind: 'wave', wave, event: { kind: 'judged', judgement, waiting: 0, bakeUntil } }, now);
  }
  const state = rollout.waves[wave];
  return state !== undefined && isPassed(state);
}
const seconds = secondsSince(begun);
const memory = process.resourceUsage().maxRSS / 1_024;

/** The same devices on the same clock with nothing but a counter: whoever has it goes out when a place is free, and comes back. */
function bareUnit(devices: number, budget: number): number {
  const agenda = new Agenda();
  let [now, waiting, out, admitted] = [begin, 0, 0, 0];
  const letIn = () => {
    for (; waiting > 0 && out < budget; waiting -= 1) {
      out += 1;
      admitted += 1;
      agenda.push({ at: now + installs.least + random() * installs.more, run: back });
    }
  };
  const back = () => {
    out -= 1;
    letIn();
  };
  const staged = () => {
    waiting += 1;
    letIn();
  };
  for (let device = 0; device < devices; device += 1) agenda.push({ at: begin + random() * 2 * hour, run: staged });
  for (let next = agenda.pop(); next !== undefined; next = agenda.pop()) {
    now = next.at;
    next.run();
  }
  return admitted;
}

const bareBegun = process.cpuUsage();
const bareAdmissions = waves.flat().reduce((sum, { ids, keep }) => sum + bareUnit(ids.length, ids.length - keep), 0);
const bareSeconds = secondsSince(bareBegun);

const count = (number: number) => number.toLocaleString('en-US');
console.log(`admission of ${count(fleet.devices)} devices in ${fleet.sites} sites, simulated clock`);
for (const line of lines) console.log(line);
console.log(
  `rounds          ${count(rounds)}; ${count(admissions)} admissions; at most ${mostAway} of a unit away at once`,
);
console.log(
  `time            ${seconds.toFixed(1)} s of a processor, of at most ${mostSeconds}; ${((seconds * 1e6) / admissions).toFixed(0)} µs for each device`,
);
console.log(
  `bare counters   ${bareSeconds.toFixed(1)} s for the same devices; ratio ${(seconds / bareSeconds).toFixed(1)}`,
);
console.log(
  `memory at most  ${memory.toFixed(0)} MiB, of at most ${count(mostMemory)}; ${before.toFixed(0)} of it before, for the ids`,
);
const through = admissions === fleet.devices && bareAdmissions === admissions && rollout.waves.every(isPassed);
if (!through || seconds > mostSeconds || memory > mostMemory) process.exitCode = 1;
