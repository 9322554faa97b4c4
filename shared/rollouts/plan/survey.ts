import { cleanDevicesToPromote } from '../gate/sprt.ts';
import type { WaveScope } from '../gate/wave-definition.ts';
import { lotOf, RolloutOrder, riskOf, scoreOf } from './order.ts';
import type { PlanRequest } from './plan-request.ts';
import { type Candidate, ineligibilityOf, isSelected } from './selection.ts';

/** A unit with devices that take part. */
export interface SurveyedUnit {
  readonly siteId: string;
  readonly unitId: string;
  readonly unitType: string;
  readonly devices: number;
  /** The highest of its devices. */
  readonly risk: number;
  /** The mean of its devices, 0 to 100. */
  readonly score: number;
}

/** Which units have devices that take part. */
export async function surveyUnits(
  request: PlanRequest,
  source: AsyncIterable<Candidate> | Iterable<Candidate>,
): Promise<readonly SurveyedUnit[]> {
  const units = new Map<string, SurveyedUnit>();
  for await (const device of source) {
    const { siteId, unitId, unitType } = device;
    if (siteId === undefined || unitId === undefined || !isSelected(request.selection, device)) continue;
    if (ineligibilityOf(device, request.target, request.selection.versions) !== undefined) continue;
    const key = `${siteId}/${unitId}`;
    const { devices = 0, risk = 0, score = 0 } = units.get(key) ?? {};
    units.set(key, {
      ...{ siteId, unitId, unitType, devices: devices + 1, risk: Math.max(risk, riskOf(device)) },
      score: (score * devices + scoreOf(device)) / (devices + 1),
    });
  }
  return [...units.values()];
}

/** Whether a wave takes the device that stands there in its stratum (`standings`). */
export type Takes = (siteId: string, unitId: string, standing: number) => boolean;

/** Decides for each wave which units and sites it means. The same units give the same answer, in whichever order they come. */
export function resolveScopes(request: PlanRequest, units: readonly SurveyedUnit[]): readonly Takes[] {
  const pilot = pilotUnit(request, units);
  const sites = sitesInOrder(request, units, pilot?.siteId);
  return request.waves.map(({ scope }) => takes(scope, pilot, sites));
}

function takes(scope: WaveScope, pilot: SurveyedUnit | undefined, sites: readonly string[]): Takes {
  switch (scope.kind) {
    case 'units': {
      const unitIds = new Set(scope.unitIds);
      return (_siteId, unitId) => unitIds.has(unitId);
    }
    case 'one-unit':
      return (siteId, unitId) => siteId === pilot?.siteId && unitId === pilot.unitId;
    case 'sites': {
      const siteIds = new Set(scope.siteIds);
      return (siteId) => siteIds.has(siteId);
    }
    case 'one-site':
      return (siteId) => siteId === sites[0];
    case 'share-of-sites': {
      const siteIds = new Set(sites.slice(0, Math.ceil((scope.percent * sites.length) / 100)));
      return (siteId) => siteIds.has(siteId);
    }
    case 'share-of-devices':
      return (_siteId, _unitId, standing) => standing * 100 < scope.percent;
    case 'rest':
      return () => true;
  }
}

/** The least acute unit (T3 before T0), of these one with enough devices to promote its wave, of these the first by lot. */
function pilotUnit({ rolloutId, waves }: PlanRequest, units: readonly SurveyedUnit[]): SurveyedUnit | undefined {
  const lab = new Set(waves.flatMap(({ scope }) => (scope.kind === 'units' ? scope.unitIds : [])));
  const gate = waves.find(({ scope }) => scope.kind === 'one-unit')?.gate;
  const needed = gate === undefined ? 0 : cleanDevicesToPromote(gate.failures);
  const rank = ({ devices }: SurveyedUnit) => (devices >= needed ? 0 : 1);
  return units
    .filter(({ unitId }) => !lab.has(unitId))
    .map((unit) => ({ unit, lot: lotOf(rolloutId, unit.unitId) }))
    .sort(
      (a, b) =>
        compare(b.unit.unitType, a.unit.unitType) ||
        rank(a.unit) - rank(b.unit) ||
        a.lot - b.lot ||
        compare(a.unit.unitId, b.unit.unitId),
    )[0]?.unit;
}

/** The site of the pilot unit, then by risk when it counts, then by lot. */
function sitesInOrder(request: PlanRequest, units: readonly SurveyedUnit[], first: string | undefined): string[] {
  const risks = new Map<string, number>();
  for (const { siteId, risk } of units) risks.set(siteId, Math.max(risks.get(siteId) ?? 0, risk));
  const weight = request.order === RolloutOrder.RiskFirst ? 1 : 0;
  return [...risks]
    .map(([siteId, risk]) => ({ siteId, risk: risk * weight, lot: lotOf(request.rolloutId, siteId) }))
    .sort(
      (a, b) =>
        Number(b.siteId === first) - Number(a.siteId === first) ||
        b.risk - a.risk ||
        a.lot - b.lot ||
        compare(a.siteId, b.siteId),
    )
    .map(({ siteId }) => siteId);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
