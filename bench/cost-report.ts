import { type CostLine, costOf, type Measurements, profiles, total } from './cost-model.ts';

const sizes = [10_000, 100_000, 1_000_000] as const;
/** Scripts whose tables are in docs/cost.md, each between two marks. */
export type ReportScript = 'bench:cost' | 'bench:rollout';

/** The tables of docs/cost.md, and whether every goal is met. */
export function costReport(measured: Readonly<Record<'mqtt' | 'https', Measurements>>): { text: string; met: boolean } {
  let met = true;
  const parts = profiles.map((profile) => {
    const bills = sizes.map((devices) => costOf(profile, measured[profile.channel], devices));
    const sums = bills.map(total);
    met &&= sums.every((sum) => sum <= profile.goal);
    const lines = (bills[0] ?? []).map(({ what }) =>
      row(
        what,
        bills.map((bill) => dollarsOf(bill, what).toFixed(6)),
      ),
    );
    return [
      `### ${profile.name}`,
      '',
      `${profile.checkIns} check-ins, ${profile.connects} connects, ${profile.commands} commands, ${profile.postureChanges} changes of posture in a month of 30 days.`,
      '',
      row(
        '$ per device-month',
        sizes.map((size) => `${size.toLocaleString('en-US')} devices`),
      ),
      row(
        '---',
        sizes.map(() => '---:'),
      ),
      ...lines,
      row(
        '**together**',
        sums.map((sum) => `**${sum.toFixed(5)}**`),
      ),
      row(
        'goal',
        sizes.map(() => profile.goal.toFixed(5)),
      ),
      row(
        'all devices, $ a month',
        sums.map((sum, n) => Math.round(sum * (sizes[n] ?? 0)).toLocaleString('en-US')),
      ),
    ].join('\n');
  });
  return { text: [unitsTable(measured), ...parts].join('\n\n'), met };
}

/** `page` with the tables between the two marks of a script replaced. */
export function withReport(page: string, text: string, script: ReportScript = 'bench:cost'): string {
  const [begin, end] = [`<!-- begin: npm run ${script} -->`, `<!-- end: npm run ${script} -->`];
  const [head, rest] = [page.split(begin)[0], page.split(end)[1]];
  if (head === undefined || rest === undefined) throw new Error('docs/cost.md has lost its marks.');
  return `${head}${begin}\n${text}\n${end}${rest}`;
}

function unitsTable(measured: Readonly<Record<'mqtt' | 'https', Measurements>>): string {
  const { mqtt, https } = measured;
  const units = (
    step: 'quiet' | 'heartbeat' | 'clinicalChange' | 'postureChange' | 'command' | 'presence',
    of = mqtt,
  ) => [`${of[step].readUnits}`, `${of[step].writeUnits}`];
  return [
    row('step (measured)', ['read units', 'write units']),
    row('---', ['---:', '---:']),
    row('check-in that brings nothing new', units('quiet')),
    row('the same, with the hourly heartbeat', units('heartbeat')),
    row('check-in with another clinical state', units('clinicalChange')),
    row('check-in with another posture', units('postureChange')),
    row('a command from queue to verified, MQTT', units('command')),
    row('a command from queue to verified, HTTPS', units('command', https)),
    row('connect and disconnect', units('presence')),
  ].join('\n');
}

const dollarsOf = (bill: readonly CostLine[], what: string): number =>
  bill.find((line) => line.what === what)?.dollars ?? 0;

const row = (first: string, cells: readonly string[]): string => `| ${[first, ...cells].join(' | ')} |`;
