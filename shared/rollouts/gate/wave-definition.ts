import { defaultGate, type GateSettings, gateFor } from './gate.ts';

/** Which devices a wave takes, of those that no wave before it took. */
export type WaveScope =
  /** These units: the lab, a pilot group. */
  | { readonly kind: 'units'; readonly unitIds: readonly string[] }
  /** One unit: the least acute; by lot among equals. */
  | { readonly kind: 'one-unit' }
  | { readonly kind: 'sites'; readonly siteIds: readonly string[] }
  /** The site of the one unit. */
  | { readonly kind: 'one-site' }
  /** This part of the sites, rounded up, counting those of earlier waves. */
  | { readonly kind: 'share-of-sites'; readonly percent: number }
  /** This part of the devices of each stratum (site, hardware revision, unit type), rounded up. */
  | { readonly kind: 'share-of-devices'; readonly percent: number }
  | { readonly kind: 'rest' };

/** A wave as a person defines it. */
export interface WaveDefinition {
  readonly name: string;
  readonly scope: WaveScope;
  /** The least time between enough evidence and the next wave, hours; it is longer when no shift change lies in it. */
  readonly bakeHours: number;
  readonly gate: GateSettings;
}

/**
 * Lab, one unit, one site, a tenth of the sites, the rest (safety rule R10), a day of bake each. The first waves are
 * small: their gates look for gross defects, since a few devices cannot prove more.
 *
 * @param labUnitIds where devices are tried before patients; with none, the lab wave is empty and is skipped
 */
export function defaultWaves(labUnitIds: readonly string[]): readonly WaveDefinition[] {
  return [
    { name: 'Lab', scope: { kind: 'units', unitIds: labUnitIds }, bakeHours: 24, gate: gateFor(0.5) },
    { name: 'One unit', scope: { kind: 'one-unit' }, bakeHours: 24, gate: gateFor(0.3) },
    { name: 'One site', scope: { kind: 'one-site' }, bakeHours: 24, gate: gateFor(0.1) },
    { name: 'A tenth of the sites', scope: { kind: 'share-of-sites', percent: 10 }, bakeHours: 24, gate: defaultGate },
    { name: 'The rest', scope: { kind: 'rest' }, bakeHours: 24, gate: defaultGate },
  ];
}

/** What is wrong with these waves, in words; empty when nothing is. */
export function problemsOf(waves: readonly WaveDefinition[]): string[] {
  const problems: string[] = [];
  if (waves.length < 2)
    problems.push('A rollout has at least two waves, so that a defect is seen before it is everywhere.');
  if (waves.length > 20) problems.push('A rollout has at most 20 waves.');
  const rests = waves.filter(({ scope }) => scope.kind === 'rest').length;
  if (rests !== 1 || waves.at(-1)?.scope.kind !== 'rest') problems.push('The last wave, and only it, is the rest.');
  for (const { name, scope, bakeHours } of waves) {
    if ('percent' in scope && !(scope.percent >= 0.01 && scope.percent < 100)) {
      problems.push(`${name}: a share is at least 0.01 and less than 100 percent.`);
    }
    if (!(bakeHours >= 24 && bakeHours <= 24 * 60)) problems.push(`${name}: a bake is 24 hours to 60 days.`);
  }
  return problems;
}
