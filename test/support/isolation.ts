import { examples } from '../../shared/api/examples.ts';
import { DeviceClass } from '../../shared/devices/device.ts';
import { type Operation, routes } from '../../shared/http/routes.ts';
import type { LocalCloud } from './local-cloud.ts';

type Body = Record<string, unknown>;

/** How a request about another site ends for the administrator of one site. */
const Ends = {
  /** 403 that says that no policy permits it. */
  Denied: 'denied',
  /** 200 without anything of the other site. */
  Hidden: 'hidden',
  /** 404: what is asked for does not exist here, and what exists is not asked for. */
  NotThere: 'not there',
  /** Permitted by the policies on purpose. */
  Open: 'open',
} as const;
type End = (typeof Ends)[keyof typeof Ends];

interface Attempt {
  readonly ends: End;
  readonly body?: unknown;
  readonly query?: string;
}

const reason = { reason: 'x' };
const { Denied, Hidden, NotThere, Open } = Ends;

/** One attempt for each operation there is: whoever adds an operation says here what it shows of other sites. */
const attempts = (site: string, unit: string, device: string, digest: string): Record<Operation, Attempt> => ({
  listSites: { ends: Hidden },
  createSite: { ends: Denied, body: { name: 'Mine too', timeZone: 'UTC' } },
  getSite: { ends: Denied },
  updateSite: { ends: Denied, body: { name: 'Mine' } },
  deleteSite: { ends: Denied },
  listSiteAudit: { ends: Denied },
  listUnits: { ends: Denied },
  createUnit: { ends: Denied, body: { name: 'Mine', acuityTier: 'T3' } },
  getUnit: { ends: Denied },
  updateUnit: { ends: Denied, body: { acuityTier: 'T3' } },
  getUnitSpares: { ends: Denied },
  deleteUnit: { ends: Denied },
  listEnrollmentTokens: { ends: Hidden },
  createEnrollmentToken: { ends: Denied, body: { siteId: site } },
  getEnrollmentToken: { ends: Denied },
  revokeEnrollmentToken: { ends: Denied },
  listDevices: { ends: Hidden, query: `site=${site}` },
  createDevice: { ends: Denied, body: { serial: 'ISO-2', platform: 'linux', siteId: site } },
  // Uploading changes nothing: each row is decided by itself, and is refused.
  importDevices: { ends: Open, body: [{ serial: 'ISO-4', platform: 'linux', site }] },
  getDevice: { ends: Denied },
  updateDevice: { ends: Denied, body: { name: 'Mine' } },
  deleteDevice: { ends: Denied },
  revokeDevice: { ends: Denied, body: {} },
  listDeviceAudit: { ends: Denied },
  getImport: { ends: Denied },
  getImportReport: { ends: Denied },
  listCommands: { ends: Denied },
  createCommand: { ends: Denied, body: { type: 'restart' } },
  getCommand: { ends: Denied },
  cancelCommand: { ends: Denied },
  createCommands: { ends: Denied, body: { type: 'inventory', deviceIds: [device] } },
  listApprovals: { ends: Hidden },
  getApproval: { ends: Denied },
  approveRequest: { ends: Denied, body: { hash: '0'.repeat(64) } },
  denyRequest: { ends: Denied, body: { remark: 'no' } },
  withdrawRequest: { ends: Denied },
  listReviews: { ends: Hidden },
  getReview: { ends: NotThere },
  completeReview: { ends: NotThere, body: { justified: true, finding: 'it was an emergency' } },
  // How much may be done in an hour is the same everywhere, and whoever is bound by it may know it.
  getLimits: { ends: Open },
  updateLimits: { ends: Denied, body: examples.Limits },
  // Stopping takes one person, anywhere; releasing takes two who answer for the place.
  listBrakes: { ends: Open },
  pullBrake: { ends: Open, body: { scope: 'unit', siteId: site, unitId: unit, reason: 'x' } },
  releaseBrake: { ends: Denied, body: { scope: 'unit', siteId: site, unitId: unit, reason: 'x' } },
  putSignal: { ends: Denied, body: { state: 'open', at: '2027-01-01T00:00:00Z' } },
  deleteSignal: { ends: Denied },
  shadowInterlock: { ends: Hidden, body: { settings: {}, siteId: site } },
  shadowLimits: { ends: Hidden, body: { limits: examples.Limits, siteId: site } },
  listRollouts: { ends: Hidden },
  createRollout: { ends: Denied, body: rolloutFor(site) },
  getRollout: { ends: Denied },
  updateRollout: { ends: Denied, body: rolloutFor(site) },
  planRollout: { ends: Denied },
  getRolloutPlan: { ends: Denied },
  getSitePlan: { ends: Denied },
  submitRollout: { ends: Denied },
  approveRollout: { ends: Denied, body: { digest } },
  rejectRollout: { ends: Denied, body: reason },
  startRollout: { ends: Denied },
  pauseRollout: { ends: Denied, body: reason },
  resumeRollout: { ends: Denied },
  skipRolloutSite: { ends: Denied, body: { siteId: site, ...reason } },
  promoteWave: { ends: Denied, body: { wave: 0, ...reason } },
  abortRollout: { ends: Denied, body: reason },
  rollBackRollout: { ends: Denied, body: reason },
  cloneRollout: { ends: Denied },
  reportSafetyEvent: { ends: Denied, body: { deviceId: device, kind: 'harm-reported', words: 'x' } },
  listRolloutDevices: { ends: Denied },
  returnRolloutDevice: { ends: Denied, body: reason },
  listRolloutTimeline: { ends: Denied },
  searchAudit: { ends: Denied, query: `site=${site}` },
  exportAudit: { ends: Denied, query: `site=${site}&from=2027-01-01&to=2027-01-02` },
  // The description of the API is for everybody.
  describeApi: { ends: Open },
});

/** For tablets: an administrator could approve it, if it were at a site of theirs. */
const rolloutFor = (siteId: string) => ({
  ...examples.RolloutInput,
  selection: { ...examples.RolloutInput.selection, classes: [DeviceClass.Tablet], siteIds: [siteId] },
});

/**
 * Has the administrator of one site try every operation on another site, through the front door of the cloud; fails where
 * it shows or changes anything.
 *
 * @param home id of the site that the demo users are limited to
 */
export async function assertIsolated(cloud: LocalCloud, home: string): Promise<void> {
  const ada = await cloud.token('ada.admin', { mfa: true });
  const made = async (path: string, body: unknown): Promise<Body> => {
    const answer = await cloud.api('POST', `/v1${path}`, { token: ada, body });
    expect([path, answer.status < 300]).toEqual([path, true]);
    return answer.body as Body;
  };
  const idOf = async (path: string, body: unknown) => String((await made(path, body))['id']);
  const site = await idOf('/sites', { name: 'Another hospital', timeZone: 'UTC' });
  const unit = await idOf(`/sites/${site}/units`, { name: 'ICU', acuityTier: 'T0' });
  const device = await idOf('/devices', {
    serial: 'ISO-1',
    platform: 'iomt',
    class: 'infusion-pump',
    siteId: site,
    unitId: unit,
  });
  const rolloutId = await idOf('/rollouts', rolloutFor(site));
  const tokenId = await idOf('/enrollment-tokens', { siteId: site });
  const importId = await idOf('/devices/import', [{ serial: 'ISO-3', platform: 'linux', site }]);
  const limits = await cloud.api('PUT', '/v1/limits', { token: ada, body: examples.Limits });
  const approvalId = String((limits.body as Body)['id']);
  const ids: Record<string, string> = {
    siteId: site,
    unitId: unit,
    deviceId: device,
    tokenId,
    importId,
    rolloutId,
    approvalId,
    commandId: '5-01jc2v4g6m8t0w2y4b6d8f0h2k',
    reviewId: 'rv-01jc2v4g6m8t0w2y4b6d8f0h2k',
    kind: 'session',
  };
  // Only now: the token carries the id that the site has.
  const token = await cloud.token('lea.admin', { mfa: true });
  expect((await cloud.api('GET', `/v1/sites/${home}`, { token })).status).toBe(200);

  const planned = attempts(site, unit, device, 'a'.repeat(64));
  for (const { operation, method, path } of routes) {
    const { ends, body, query } = planned[operation];
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name] ?? '');
    const answer = await cloud.api(method, `/v1${filled}${query === undefined ? '' : `?${query}`}`, {
      token,
      headers: { 'if-match': '*' },
      ...(body === undefined ? {} : { body }),
    });
    const text = JSON.stringify(answer.body ?? {});
    const shows = [...Object.values(ids), 'Another hospital', 'ISO-1', 'ISO-3'].filter(
      (each) => each !== 'session' && text.includes(each),
    );
    const permitted = answer.status < 300 ? answer.status : 'a success';
    const expected = { [Denied]: 403, [Hidden]: 200, [NotThere]: 404, [Open]: permitted }[ends];
    expect([operation, answer.status]).toEqual([operation, expected]);
    if (ends === Hidden) expect([operation, shows]).toEqual([operation, []]);
    if (ends === Denied) {
      expect(answer.body).toMatchObject({
        type: '/problems/forbidden',
        detail: expect.stringContaining('No policy permits'),
      });
    }
  }
  // Nothing was changed, and each attempt at a change was recorded where those who answer for the site find it.
  expect((await cloud.api('GET', `/v1/sites/${site}`, { token: ada })).body).toMatchObject({ version: 1 });
  expect((await cloud.api('GET', `/v1/devices/${device}`, { token: ada })).body).toMatchObject({ version: 1 });
  const trail = async (path: string) => {
    const { body } = await cloud.api('GET', `/v1/${path}/audit?limit=100`, { token: ada });
    return ((body as Body)['items'] as Body[])
      .filter(({ actor, outcome }) => actor === 'user:lea.admin' && outcome === 'denied')
      .map(({ action }) => action)
      .sort();
  };
  expect(await trail(`sites/${site}`)).toEqual([
    'CreateUnit',
    'DeleteSite',
    'DeleteUnit',
    'ReadAudit',
    'ReleaseBrake',
    'UpdateSite',
    'UpdateUnit',
  ]);
  expect(await trail(`devices/${device}`)).toEqual([
    'CancelCommand',
    'DeleteDevice',
    'ReportSignal',
    'ReportSignal',
    'RequestInventory',
    'RestartDevice',
    'RevokeDevice',
    'UpdateDevice',
  ]);
}
