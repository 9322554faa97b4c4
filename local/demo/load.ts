import { weekdays } from '../../shared/places/calendar.ts';
import { type ApiClient, text } from './api.ts';
import type { DemoDevice } from './fleet.ts';
import { type DemoSite, type DemoUnit, demoSites } from './network.ts';

/** Enrolment tokens that an earlier start was given; their secrets cannot be read back from the API. */
export interface TokenShelf {
  get(siteId: string): string | undefined;
  put(siteId: string, token: string): void;
}

/** Where the demo network's places are in the cloud. */
export interface LoadedNetwork {
  readonly siteIds: ReadonlyMap<DemoSite, string>;
  /** By site id and name of the unit, joined with a blank. */
  readonly unitIds: ReadonlyMap<string, string>;
  /** How many sites and units did not exist before. */
  readonly created: number;
}

/** Updates are installed at night, and not while shifts change. */
const demoCalendar = {
  maintenanceWindows: [{ days: [...weekdays], from: '01:00', to: '05:00' }],
  blackouts: [
    { name: 'Morning shift change', days: [...weekdays], from: '06:30', to: '07:30' },
    { name: 'Evening shift change', days: [...weekdays], from: '18:30', to: '19:30' },
  ],
};

/** Wards have quiet hours besides: after lunch, and when the visitors have gone. */
const wardCalendar = {
  ...demoCalendar,
  maintenanceWindows: [
    ...demoCalendar.maintenanceWindows,
    { days: [...weekdays], from: '13:00', to: '15:00' },
    { days: [...weekdays], from: '20:00', to: '22:00' },
  ],
};

/** When updates may be installed in a unit. */
export const hoursOf = ({ kind }: DemoUnit): typeof demoCalendar => (kind === 'ward' ? wardCalendar : demoCalendar);

/** Requests at the same time: the loader is a guest in its own house. */
const PARALLEL = 4;

/** Creates the sites and units that do not exist yet, found by their names. */
export async function loadPlaces(api: ApiClient): Promise<LoadedNetwork> {
  let created = 0;
  const known = new Map((await api.list('/sites')).map((site) => [text(site, 'name'), text(site, 'id')]));
  const siteIds = new Map<DemoSite, string>();
  const unitIds = new Map<string, string>();
  await inParallel(demoSites, async (site) => {
    const existing = known.get(site.name);
    const siteId =
      existing ?? idOf(await api.post('/sites', { name: site.name, timeZone: site.timeZone, ...demoCalendar }));
    siteIds.set(site, siteId);
    const units = existing === undefined ? [] : await api.list(`/sites/${siteId}/units`);
    if (existing === undefined) created += 1;
    for (const unit of site.units) {
      const found = units.find((candidate) => text(candidate, 'name') === unit.name);
      if (found === undefined) created += 1;
      const id = text(found, 'id') ?? idOf(await api.post(`/sites/${siteId}/units`, unitInput(unit)));
      unitIds.set(`${siteId} ${unit.name}`, id);
    }
  });
  return { siteIds, unitIds, created };
}

/** Units that say nothing of their hours have those of the site. */
const unitInput = (unit: DemoUnit) => ({
  name: unit.name,
  acuityTier: unit.acuityTier,
  ...(hoursOf(unit) === demoCalendar ? {} : hoursOf(unit)),
});

/** One enrolment token a site, for devices that are pre-registered; a token of an earlier start is used again. */
export async function loadTokens(
  api: ApiClient,
  sites: readonly string[],
  shelf: TokenShelf,
  expiresAt: string,
): Promise<ReadonlyMap<string, string>> {
  const tokens = new Map<string, string>();
  await inParallel([...new Set(sites)], async (siteId) => {
    let token = shelf.get(siteId);
    if (token === undefined) {
      token = text(
        await api.post('/enrollment-tokens', { siteId, uses: 10_000, expiresAt, allowUnknown: false }),
        'token',
      );
      if (token === undefined) throw new Error('the management API answered without the new token');
      shelf.put(siteId, token);
    }
    tokens.set(siteId, token);
  });
  return tokens;
}

/**
 * Pre-registers the devices with one import, and waits until it is done. The same list again changes nothing.
 *
 * @returns rows that were refused, as the API says why
 */
export async function preRegister(
  api: ApiClient,
  network: LoadedNetwork,
  devices: readonly DemoDevice[],
  wait: (milliseconds: number) => Promise<void>,
): Promise<string[]> {
  const rows = devices.map(({ profile, name, site, unit }) => {
    const siteId = network.siteIds.get(site) ?? '';
    return {
      serial: profile.serial,
      platform: profile.platform,
      class: profile.class,
      site: siteId,
      unit: network.unitIds.get(`${siteId} ${unit.name}`) ?? '',
      name,
      plFacility: profile.location.facility,
      building: profile.location.building,
      floor: profile.location.floor,
      pointOfCare: profile.location.pointOfCare,
      ...(profile.location.room === undefined ? {} : { room: profile.location.room }),
      ...(profile.location.bed === undefined ? {} : { bed: profile.location.bed }),
      model: `${profile.manufacturer} ${profile.model}`,
    };
  });
  const id = idOf(await api.post('/devices/import', rows));
  for (;;) {
    const job = await api.get(`/imports/${id}`);
    const state = text(job, 'state');
    if (state === 'failed') throw new Error(`the import of the demo devices failed: ${text(job, 'problem')}`);
    if (state === 'done') break;
    await wait(250);
  }
  const report = await api.list(`/imports/${id}/report`);
  return report.filter((row) => text(row, 'outcome') === 'refused').map((row) => JSON.stringify(row));
}

function idOf(value: unknown): string {
  const id = text(value, 'id');
  if (id === undefined) throw new Error('the management API answered without an id');
  return id;
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
    }),
  );
}
