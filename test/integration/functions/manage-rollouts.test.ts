import { PutCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import { draftHandlers } from '../../../functions/manage-rollouts/drafts.ts';
import { operateHandlers } from '../../../functions/manage-rollouts/operate.ts';
import { planHandlers } from '../../../functions/manage-rollouts/plans.ts';
import { progressHandlers } from '../../../functions/manage-rollouts/progress.ts';
import { returnHandlers } from '../../../functions/manage-rollouts/return.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord } from '../../../shared/audit/store.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { devicePartition, sortKeys } from '../../../shared/devices/keys.ts';
import { serve } from '../../../shared/http/api.ts';
import type { Operation } from '../../../shared/http/routes.ts';
import type { Caller } from '../../../shared/identity/caller.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { PlaceStore } from '../../../shared/places/store.ts';
import { readAway, takeSparePart } from '../../../shared/rollouts/admission/spares-store.ts';
import {
  getExecuted,
  getExecution,
  type StoredExecution,
  saveExecution,
  startExecution,
} from '../../../shared/rollouts/executions/execution-store.ts';
import { countExecutions } from '../../../shared/rollouts/gate/tally-store.ts';
import { listMarks, putMark } from '../../../shared/rollouts/gate/watch-store.ts';
import { putWait } from '../../../shared/rollouts/machines/wait-store.ts';
import { candidateSource } from '../../../shared/rollouts/plan/candidate-source.ts';
import { PlanStore } from '../../../shared/rollouts/plan/plan-store.ts';
import { type Planner, runPlan } from '../../../shared/rollouts/plan/run-plan.ts';
import { getRollout, saveRollout } from '../../../shared/rollouts/rollout-store.ts';
import { type ApiHandler, call, callerWith, freshMfa, type TestAnswer } from '../../support/api.ts';
import { enrol, infusionPump } from '../../support/devices.ts';
import { memoryObjects, storedExecution } from '../../support/rollouts.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

// For a machine that does other things besides; nothing here waits for time to pass.
jest.setTimeout(120_000);

const north = `s-${'a'.repeat(26)}`;
const south = `s-${'b'.repeat(26)}`;
const ward = `u-${'a'.repeat(26)}`;
const icu = `u-${'b'.repeat(26)}`;
const clinic = `u-${'c'.repeat(26)}`;

const fresh = (role: string, sub: string, sites = [north, south]): Caller =>
  callerWith(role, { sub, sites, ...freshMfa() });
const [ada, bea, bob] = [fresh('administrator', 'ada', ['*']), fresh('biomed', 'bea'), fresh('biomed', 'bob')];
const hal = callerWith('help-desk', { sub: 'hal', sites: [south] });

const input = {
  name: 'Pumps to 9.5',
  artifact: {
    ...{ kind: 'firmware', name: 'Infuse LV-8', version: '9.5.0', sha256: 'A'.repeat(64), signature: 'c2lnbmVk' },
    url: 'https://updates.example.org/lv-8',
  },
  selection: { siteIds: [north, south], classes: ['infusion-pump'] },
  waves: [
    { name: 'Clinic', scope: { kind: 'units', unitIds: [clinic] } },
    { name: 'The rest', scope: { kind: 'rest' } },
  ],
  wayBack: 'The menu of the pump brings the earlier version back.',
};

let database: TestDatabase;
let devices: Table;
let directory: Table;
let plans: PlanStore;
let handler: ApiHandler;
let asked: (readonly [rolloutId: string, version: number])[];
let started: (readonly [name: string, input: object])[];
let told: (readonly [token: string, output: object])[];

beforeAll(async () => {
  database = await startTestDatabase();
});
afterAll(() => database.stop());

beforeEach(async () => {
  [devices, directory] = [await database.table('bySite'), await database.table('byKind')];
  [asked, started, told] = [[], [], []];
  plans = new PlanStore(memoryObjects());
  const services = {
    ...{ devices, directory, plans },
    guard: new Guard(loadPolicies(), (record) => keepRecord(directory, record)),
    askForPlan: async (...message: (typeof asked)[number]) => {
      asked.push(message);
    },
    startMachine: async (...start: (typeof started)[number]) => {
      started.push(start);
      return true;
    },
    answer: async (...answer: (typeof told)[number]) => {
      told.push(answer);
      return 'told' as const;
    },
  };
  handler = serve('manage-rollouts', {
    ...draftHandlers(services),
    ...planHandlers(services),
    ...operateHandlers(services),
    ...progressHandlers(services),
    ...returnHandlers(services),
  });
  const places = new PlaceStore(directory, devices);
  const at = new Date();
  const kept = { createdAt: at.toISOString(), updatedAt: at.toISOString(), version: 1 };
  const entry = { actor: 'user:x', action: 'CreateSite', resource: 'site', outcome: 'allowed' } as const;
  for (const id of [north, south]) {
    const audit = auditRecord(`SITE#${id}`, entry, at);
    await places.createSite({ id, name: id, timeZone: 'America/Chicago', ...kept }, audit);
  }
  const unit = (id: string, siteId: string, more: object) =>
    places.createUnit(
      { id, siteId, name: id, acuityTier: 'T2', ...more, ...kept },
      auditRecord(`SITE#${siteId}`, entry, at),
    );
  await unit(ward, north, { spares: { 'infusion-pump': 2 } });
  // Intensive care keeps all that it has.
  await unit(icu, north, { acuityTier: 'T0', spares: { 'infusion-pump': 9 } });
  await unit(clinic, south, {});
});

const ask = (operation: Operation, caller: Caller, path: Record<string, string> = {}, body?: object, headers = {}) =>
  call(handler, operation, { caller, path, headers, ...(body === undefined ? {} : { body }) });
const act = (operation: Operation, caller: Caller, id: string, body?: object) =>
  ask(operation, caller, { rolloutId: id }, body);
const idOf = ({ body }: TestAnswer) => String(body['id']);

/** Enrols pumps: four in the ward, of which one has the version already, three in intensive care, two in the clinic. */
async function pumps(): Promise<Readonly<Record<'ward' | 'icu' | 'clinic', readonly string[]>>> {
  const of = async (count: number, siteId: string, unitId: string) => {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      ids.push((await enrol(devices, { ...infusionPump(`${unitId}-${n}`), siteId, unitId })).id);
    }
    return ids;
  };
  const fleet = { ward: await of(4, north, ward), icu: await of(3, north, icu), clinic: await of(2, south, clinic) };
  const report = JSON.stringify({ firmwareVersion: '9.5.0' });
  const key = { pk: devicePartition(fleet.ward[0] ?? ''), sk: sortKeys.inventory };
  await devices.client.send(new PutCommand({ TableName: devices.name, Item: { ...key, report } }));
  return fleet;
}

/** Asks for a plan and makes it as `plan-rollout` does. @returns its digest */
async function plan(id: string): Promise<string> {
  expect(await act('planRollout', bea, id)).toMatchObject({ status: 202, body: { plan: { state: 'planning' } } });
  const [rolloutId = '', version = 0] = asked.at(-1) ?? [];
  const planner: Planner = {
    ...{ directory, plans, now: () => new Date(), hasTime: () => true },
    devicesOf: ({ definition }) => candidateSource({ devices, directory }, definition),
  };
  expect(await runPlan(planner, { rolloutId, version })).toMatchObject({
    outcome: 'planned',
    devices: 8,
    ineligible: 1,
  });
  return String((await act('getRollout', ada, id)).body['digest']);
}

/** A rollout that waits for approval, made and submitted by bea. */
async function submitted() {
  const id = idOf(await ask('createRollout', bea, {}, input));
  const digest = await plan(id);
  expect(await act('submitRollout', bea, id)).toMatchObject({ status: 200, body: { state: 'awaiting-approval' } });
  return { id, digest };
}

/** A rollout that runs. */
async function running(): Promise<string> {
  const { id, digest } = await submitted();
  expect(await act('approveRollout', bob, id, { digest })).toMatchObject({ status: 200, body: { state: 'scheduled' } });
  expect(await act('startRollout', bea, id)).toMatchObject({ status: 200, body: { state: 'running' } });
  return id;
}

/** An execution of the rollout in this state. */
async function execution(id: string, deviceId: string, more: Partial<StoredExecution>): Promise<StoredExecution> {
  const now = new Date().toISOString();
  const begun = storedExecution(deviceId, {
    ...{ rolloutId: id, siteId: south, unitId: clinic, since: now, dispatchedAt: now },
    ...more,
    ...{ status: { state: 'queued' }, outOfService: false },
  });
  expect(await startExecution(devices, begun)).toBe('started');
  const { status = begun.status, outOfService = false } = more;
  const after = { ...begun, status, outOfService, version: 2 };
  expect(await saveExecution(devices, begun, after)).toBe(true);
  await countExecutions(devices, directory, [after], new Date());
  return after;
}

describe('A draft', () => {
  test('takes the defaults, is read and listed, and is made once for a key', async () => {
    const { waves: _waves, ...short } = input;
    const made = await ask('createRollout', bea, {}, short, { 'Idempotency-Key': 'k-1' });
    expect(made).toMatchObject({
      status: 201,
      headers: { etag: '"1"', location: `/v1/rollouts/${idOf(made)}` },
      body: {
        state: 'draft',
        words: expect.stringContaining('Plan it'),
        createdBy: 'user:bea',
        definition: { order: 'pilot-first', soakHours: 24, artifact: { sha256: 'a'.repeat(64) } },
      },
    });
    const again = await ask('createRollout', bea, {}, short, { 'Idempotency-Key': 'k-1' });
    expect(again).toMatchObject({ status: 201, body: { id: idOf(made) } });
    const other = await ask('createRollout', bea, {}, input, { 'Idempotency-Key': 'k-1' });
    expect(other).toMatchObject({ status: 409, body: { detail: expect.stringContaining('another request') } });
    expect(await act('getRollout', hal, idOf(made))).toMatchObject({ status: 200, headers: { etag: '"1"' } });
    const listed = await call(handler, 'listRollouts', { caller: bea, query: { state: 'draft' } });
    expect(listed.body['items']).toMatchObject([{ id: idOf(made), name: 'Pumps to 9.5', waves: [] }]);
    const empty = await call(handler, 'listRollouts', { caller: bea, query: { state: 'running' } });
    expect(empty.body['items']).toEqual([]);
    const elsewhere = callerWith('biomed', { sites: [`s-${'c'.repeat(26)}`] });
    expect((await call(handler, 'listRollouts', { caller: elsewhere })).body['items']).toEqual([]);
    expect(await act('getRollout', elsewhere, idOf(made))).toMatchObject({ status: 403 });
  });

  test('is made only by whose devices and sites it is for', async () => {
    const create = (caller: Caller, selection: object) => ask('createRollout', caller, {}, { ...input, selection });
    expect(await create(bea, { classes: ['infusion-pump'] })).toMatchObject({ status: 403 });
    expect(await create(ada, { classes: ['infusion-pump'] })).toMatchObject({ status: 201 });
    expect(await create(fresh('biomed', 'ben', [north]), input.selection)).toMatchObject({ status: 403 });
    expect(await create(fresh('site-it', 'ida'), input.selection)).toMatchObject({ status: 403 });
    expect(await create(fresh('site-it', 'ida'), { siteIds: [north], classes: ['tablet'] })).toMatchObject({
      status: 201,
    });
  });

  test('of a wrong form is refused with what is wrong', async () => {
    const wrong = { ...input, waves: [], artifact: { ...input.artifact, url: 'http://x.example.org' } };
    expect(await ask('createRollout', bea, {}, wrong)).toMatchObject({
      status: 400,
      body: {
        errors: expect.arrayContaining([
          { pointer: '/artifact/url', detail: expect.stringContaining('https') },
          { pointer: '/waves', detail: expect.stringContaining('two waves') },
        ]),
      },
    });
  });

  test('is changed by who has seen it, and only into what they may run', async () => {
    const id = idOf(await ask('createRollout', bea, {}, input));
    const put = (caller: Caller, body: object, headers: object) =>
      ask('updateRollout', caller, { rolloutId: id }, body, headers);
    expect(await put(bea, input, {})).toMatchObject({ status: 428 });
    expect(await put(bea, input, { 'If-Match': '"7"' })).toMatchObject({ status: 412 });
    const everywhere = { ...input, selection: { classes: ['infusion-pump'] } };
    expect(await put(bea, everywhere, { 'If-Match': '"1"' })).toMatchObject({ status: 403 });
    expect(await put(bea, { ...input, name: 'Other' }, { 'If-Match': '"1"' })).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
      body: { definition: { name: 'Other' } },
    });
  });

  test('that does not exist is not found, whatever is asked of it', async () => {
    for (const operation of ['getRollout', 'getRolloutPlan', 'startRollout', 'listRolloutTimeline'] as const) {
      expect(await act(operation, ada, 'ro-nothing')).toMatchObject({ status: 404 });
    }
  });
});

describe('A plan', () => {
  test('is asked for, and shows which devices come when, what units lose, and what the waves prove', async () => {
    await pumps();
    const id = idOf(await ask('createRollout', bea, {}, input));
    expect(await act('getRolloutPlan', bea, id)).toMatchObject({ status: 409 });
    expect(await act('planRollout', hal, id)).toMatchObject({ status: 403 });
    expect(await act('submitRollout', bea, id)).toMatchObject({ status: 409 });
    const digest = await plan(id);
    expect(asked).toEqual([[id, 2]]);
    // While another one is made, nobody submits the one before.
    expect(await act('planRollout', bea, id)).toMatchObject({ status: 202 });
    expect(await act('submitRollout', bea, id)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('being planned') },
    });
    expect(await plan(id)).toBe(digest);
    const shown = await act('getRolloutPlan', bea, id);
    expect(shown).toMatchObject({
      status: 200,
      body: {
        state: 'done',
        digest,
        ineligible: { 'already-there': 1 },
        waves: [
          {
            name: 'Clinic',
            devices: 2,
            sites: 1,
            units: 1,
            firstWindow: expect.any(String),
            cleanDevicesToPromote: 55,
          },
          { name: 'The rest', devices: 6, sites: 1, units: 2, unitsThatCanSpareNone: 1 },
        ],
      },
    });
    const sites = shown.body['sites'] as { siteId: string; units: object[] }[];
    expect(sites.find(({ siteId }) => siteId === north)?.units).toMatchObject([
      { unitId: ward, devices: 3, inUnit: 4, keep: 2, sparesBefore: 2, sparesAfter: 0, atOnce: 2, canSpare: true },
      { unitId: icu, devices: 3, inUnit: 3, keep: 9, sparesBefore: 0, canSpare: false },
    ]);
    // Hal is at one of the sites: the sums are of all, the units are not.
    expect((await act('getRolloutPlan', hal, id)).body['sites']).toMatchObject([{ siteId: south }]);
  });

  test('names exactly the devices of a site, in pages', async () => {
    const fleet = await pumps();
    const id = idOf(await ask('createRollout', bea, {}, input));
    await plan(id);
    const page = (query: Record<string, string>, caller = bea, siteId = north) =>
      call(handler, 'getSitePlan', { caller, path: { rolloutId: id, siteId }, query });
    const first = await page({ limit: '4' });
    const second = await page({ limit: '4', cursor: String(first.body['next']) });
    const items = [...(first.body['items'] as object[]), ...(second.body['items'] as object[])];
    expect(second.body['next']).toBeUndefined();
    expect(items.map((item) => 'deviceId' in item && item.deviceId).sort()).toEqual(
      [...fleet.ward, ...fleet.icu].sort(),
    );
    expect(items.slice(0, 6)).toMatchObject(
      [0, 1, 2, 3, 4, 5].map((rank) => ({ wave: 1, rank, stratum: expect.stringMatching('^unknown/T[02]$') })),
    );
    expect(items[6]).toEqual({
      deviceId: fleet.ward[0],
      ineligible: 'already-there',
      words: expect.stringContaining('has the version already'),
    });
    expect((await page({ show: 'ineligible' })).body['items']).toHaveLength(1);
    expect((await page({ show: '0' })).body['items']).toEqual([]);
    expect(await page({ limit: '4', show: '1', cursor: String(first.body['next']) })).toMatchObject({ status: 400 });
    expect(await page({}, hal)).toMatchObject({ status: 403 });
    expect(await page({}, ada, `s-${'c'.repeat(26)}`)).toMatchObject({ status: 404 });
  });
});

describe('The approval', () => {
  test('needs another person, who fits the devices, with a fresh second factor, for exactly this plan', async () => {
    await pumps();
    const id = idOf(await ask('createRollout', bea, {}, input));
    expect(await act('submitRollout', bea, id)).toMatchObject({
      status: 409,
      body: { detail: 'The rollout is draft and cannot be submitted; that is possible while it is planned.' },
    });
    const digest = await plan(id);
    const stale = { ...bea, authTime: 0 };
    expect(await act('submitRollout', stale, id)).toMatchObject({ status: 401, body: { maxAgeSeconds: 900 } });
    expect(await act('submitRollout', bea, id)).toMatchObject({ status: 200, body: { submittedBy: 'user:bea' } });
    const approve = (caller: Caller, body: object = { digest }) => act('approveRollout', caller, id, body);
    expect(await approve(bea)).toMatchObject({ status: 403, body: { ruleId: 'R3' } });
    expect(await approve({ ...bob, authTime: 0 })).toMatchObject({ status: 401 });
    expect(await approve(hal)).toMatchObject({ status: 403 });
    expect(await approve(fresh('security', 'sue'))).toMatchObject({ status: 403 });
    expect(await approve(ada)).toMatchObject({
      status: 403,
      body: { policyIds: ['patient-care-rollouts-need-biomed'] },
    });
    expect(await approve(fresh('biomed', 'ben', [north]))).toMatchObject({ status: 403 });
    expect(await approve(bob, { digest: 'f'.repeat(64) })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('not the one that you looked at') },
    });
    expect(await approve(bob, { digest: 'x' })).toMatchObject({ status: 400 });
    expect(await act('startRollout', bea, id)).toMatchObject({ status: 409 });
    expect(await approve(bob)).toMatchObject({ status: 200, body: { state: 'scheduled', approvedBy: 'user:bob' } });
    expect(await approve(bob)).toMatchObject({ status: 409 });
    expect(await act('startRollout', hal, id)).toMatchObject({ status: 403 });
    expect(await act('startRollout', bea, id)).toMatchObject({ status: 200, body: { state: 'running' } });
    // An interrupted start is repaired by another one.
    expect(await act('startRollout', bea, id)).toMatchObject({ status: 200, body: { state: 'running' } });
    expect(started).toEqual([
      [id, { rolloutId: id }],
      [id, { rolloutId: id }],
    ]);
    const timeline = (await act('listRolloutTimeline', hal, id)).body['items'] as { words: string }[];
    const told = timeline.map(({ words }) => words).reverse();
    expect(told[0]).toBe('user:bea made the draft "Pumps to 9.5" of firmware Infuse LV-8 9.5.0.');
    expect(told.at(-1)).toBe('user:bea started it. Wave "Clinic" is admitting. It is now running.');
    expect(told.join('\n')).toContain(
      'user:bea tried ApproveRollout and was refused: You made or submitted it yourself',
    );
    expect(told.join('\n')).toContain('user:hal tried ApproveRollout and was denied');
  });

  test('is void after a change; a clone begins anew; whoever refuses ends it', async () => {
    await pumps();
    const { id } = await submitted();
    const etag = (await act('getRollout', bea, id)).headers['etag'] ?? '';
    const changed = await ask('updateRollout', bea, { rolloutId: id }, { ...input, name: 'New' }, { 'If-Match': etag });
    expect(changed.body).toMatchObject({ state: 'draft', waves: [], definition: { name: 'New' } });
    expect(changed.body).not.toHaveProperty('digest');
    expect(changed.body).not.toHaveProperty('plan');
    const other = await submitted();
    expect(await act('rejectRollout', hal, other.id, { reason: 'Not in flu season.' })).toMatchObject({
      status: 200,
      body: { state: 'rejected' },
    });
    expect(await act('resumeRollout', bea, other.id)).toMatchObject({ status: 409 });
    const clone = await act('cloneRollout', bea, other.id);
    expect(clone).toMatchObject({ status: 201, body: { state: 'draft', waves: [], createdBy: 'user:bea' } });
    expect(idOf(clone)).not.toBe(other.id);
  });
});

describe('A rollout that runs', () => {
  test('is stopped by anybody at one of its sites, and the state machine is told', async () => {
    await pumps();
    const id = await running();
    const token = 'secret-token-of-a-task';
    await putWait(directory, { rolloutId: id, siteId: south, step: 'monitor', wave: 0, token, since: 'now' });
    expect(await act('pauseRollout', fresh('auditor', 'ann'), id, { reason: 'x' })).toMatchObject({ status: 403 });
    expect(await act('pauseRollout', hal, id, { reason: 'A go-live.' })).toMatchObject({
      status: 200,
      body: {
        state: 'paused',
        words: 'Paused by operator: A go-live.',
        paused: { by: 'operator', words: 'A go-live.' },
      },
    });
    expect(told).toEqual([[token, { verdict: 'HOLD' }]]);
    expect(await act('pauseRollout', hal, id, { reason: 'Again.' })).toMatchObject({
      status: 409,
      body: { detail: 'It is paused already.', state: 'paused' },
    });
    expect(await act('resumeRollout', hal, id)).toMatchObject({ status: 403 });
    expect(await act('resumeRollout', bea, id)).toMatchObject({ status: 200, body: { state: 'running' } });
    expect(await act('skipRolloutSite', ada, id, { siteId: 's-nowhere', reason: 'x' })).toMatchObject({ status: 409 });
    // Of the other site hal knows nothing.
    expect(await act('skipRolloutSite', hal, id, { siteId: north, reason: 'x' })).toMatchObject({ status: 403 });
    expect(await act('skipRolloutSite', hal, id, { siteId: 's-nowhere', reason: 'x' })).toMatchObject({ status: 403 });
    expect(await act('skipRolloutSite', hal, id, { siteId: south, reason: 'It moves.' })).toMatchObject({
      body: { skippedSites: [south] },
    });
    // That another one was left out, too, he is told; which one, and why, is for those who may look at it.
    expect(await act('skipRolloutSite', ada, id, { siteId: north, reason: 'It burns.' })).toMatchObject({
      body: { skippedSites: [south, north] },
    });
    expect((await act('getRollout', hal, id)).body).toMatchObject({ skippedSites: [south] });
    const lines = (await act('listRolloutTimeline', hal, id)).body['items'] as { words: string }[];
    expect(lines[0]?.words).toBe('user:ada left out another site.');
    expect(lines.map(({ words }) => words)).toContain(`user:hal left out site ${south}. Reason: It moves.`);
    expect(JSON.stringify(lines)).not.toContain(north);
    expect(await act('abortRollout', hal, id, {})).toMatchObject({ status: 400 });
    expect(await act('abortRollout', hal, id, { reason: 'Over.' })).toMatchObject({ body: { state: 'aborting' } });
    const shown = JSON.stringify([await act('getRollout', ada, id), await act('listRolloutTimeline', ada, id)]);
    expect(shown).not.toContain(token);
  });

  test('is stopped for good by one report of harm, about a device that it has touched', async () => {
    const fleet = await pumps();
    const id = await running();
    const [touched = '', other] = fleet.clinic;
    await execution(id, touched, { status: { state: 'succeeded' } });
    const report = (deviceId: string | undefined) =>
      act('reportSafetyEvent', hal, id, { deviceId, kind: 'alarm-path-lost', words: 'The nurse call stayed dark.' });
    expect(await report(other)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('has not touched') },
    });
    // At another site somebody else stands beside it.
    const [, elsewhere = ''] = fleet.ward;
    await execution(id, elsewhere, { siteId: north, unitId: ward, wave: 1, status: { state: 'succeeded' } });
    expect(await report(elsewhere)).toMatchObject({ status: 403 });
    expect((await act('getRollout', ada, id)).body).toMatchObject({ state: 'running' });
    expect(await report(touched)).toMatchObject({
      status: 200,
      body: { state: 'paused', stopped: `${touched}: alarm-path-lost.`, paused: { by: 'safety' } },
    });
    expect(await act('resumeRollout', bea, id)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('Roll back, abort, or clone it.') },
    });
    expect(await act('rollBackRollout', { ...bea, authTime: 0 }, id, { reason: 'x' })).toMatchObject({ status: 401 });
    expect(await act('rollBackRollout', bea, id, { reason: 'One alarm is enough.' })).toMatchObject({
      status: 200,
      body: { state: 'rolling-back' },
    });
  });

  test('goes back after its end too, by a state machine of its own', async () => {
    await pumps();
    const id = await running();
    expect(await act('abortRollout', hal, id, { reason: 'Over.' })).toMatchObject({ body: { state: 'aborting' } });
    const aborting = await getRollout(directory, id);
    if (aborting === undefined) throw new Error('no rollout');
    const aborted = { ...aborting, state: 'aborted', version: aborting.version + 1 } as const;
    expect(await saveRollout(directory, aborting, aborted, [])).toBe(true);
    expect(await act('rollBackRollout', bea, id, { reason: 'The old alarm was better.' })).toMatchObject({
      body: { state: 'rolling-back' },
    });
    expect(started.at(-1)).toEqual([`${id}-back-1`, { rolloutId: id }]);
  });

  test('is not promoted by hand before the bake is over, nor without a second factor', async () => {
    await pumps();
    const id = await running();
    const promote = (caller: Caller, wave = 0) =>
      act('promoteWave', caller, id, { wave, reason: 'Two pumps are all that the clinic has.' });
    expect(await promote({ ...bea, authTime: 0 })).toMatchObject({ status: 401 });
    expect(await promote(hal)).toMatchObject({ status: 403 });
    expect(await promote(bea)).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/^"Clinic" bakes until \d{4}-.*; nobody promotes it before\.$/) },
    });
    expect(await promote(bea, 9)).toMatchObject({ status: 409 });
    expect(await promote(bea, 1)).toMatchObject({ status: 409 });
    // A day and a bit ago.
    const rollout = await getRollout(directory, id);
    if (rollout === undefined) throw new Error('no rollout');
    const openedAt = new Date(Date.now() - 25 * 3_600_000).toISOString();
    const waves = rollout.waves.map((wave, index) => (index === 0 ? { ...wave, openedAt } : wave));
    await saveRollout(directory, rollout, { ...rollout, waves, version: rollout.version + 1 }, []);
    // What failed while it baked is what the person answers for: it is not held against the devices that come later.
    const none = { success: 0, failure: 0 };
    await putMark(directory, id, 0, { reported: none, silence: none });
    expect(await promote(bea)).toMatchObject({
      status: 200,
      body: { waves: [{ state: 'promoted', words: expect.stringContaining('user:bea') }, { state: 'admitting' }] },
    });
    expect(await listMarks(directory, id)).toEqual(new Map());
  });

  test('shows what its gates have seen, and of each device why it waits and until when', async () => {
    const fleet = await pumps();
    const id = await running();
    const [done = '', waits = ''] = fleet.clinic;
    await execution(id, done, { status: { state: 'succeeded' } });
    const until = new Date(Date.now() + 1_800_000).toISOString();
    await execution(id, waits, { status: { state: 'deferred', reason: 'in-use', until, from: 'armed' }, rank: 1 });
    const [, , third = ''] = fleet.ward;
    await execution(id, third, { siteId: north, unitId: ward, wave: 1, status: { state: 'staged' } });
    const { body } = await act('getRollout', bea, id);
    expect(body).toMatchObject({
      words: '"Clinic": 2 devices are let in as their units can spare them.',
      counts: { states: { succeeded: 1, deferred: 1, staged: 1 }, waiting: { 'in-use': 1 } },
      waves: [
        {
          ...{ devices: 2, planned: 0, states: { succeeded: 1, deferred: 1 }, waiting: { 'in-use': 1 } },
          gate: {
            ...{ verdict: 'hold', reason: 'evidence', seen: { success: 1, failure: 0 }, looksFor: 0.05 },
            missing: { comeThrough: 54, report: expect.any(Number) },
            interval: { low: 0, high: expect.any(Number) },
          },
        },
        { devices: 6, planned: 5, words: 'It begins when "Clinic" is promoted.' },
      ],
    });
    const list = async (caller: Caller, query: Record<string, string> = {}) =>
      (await call(handler, 'listRolloutDevices', { caller, path: { rolloutId: id }, query })).body;
    expect(await list(bea, { state: 'deferred' })).toEqual({
      items: [
        expect.objectContaining({
          ...{ deviceId: waits, siteId: south, unitId: clinic, wave: 0, state: 'deferred', direction: 'forward' },
          ...{ reason: 'in-use', until, words: expect.stringContaining('in use') },
        }),
      ],
    });
    expect(await list(bea, { site: north })).toMatchObject({
      items: [
        { deviceId: third, state: 'staged', reason: 'wave', words: expect.stringContaining('"Clinic" is promoted') },
      ],
    });
    expect((await list(hal))['items']).toHaveLength(2);
    const pages: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await list(bea, { limit: '1', ...(cursor === undefined ? {} : { cursor }) });
      pages.push(...(page['items'] as { deviceId: string }[]).map(({ deviceId }) => deviceId));
      cursor = page['next'] as string | undefined;
    } while (cursor !== undefined);
    expect(pages.sort()).toEqual([done, waits, third].sort());
    expect(
      await call(handler, 'listRolloutDevices', { caller: hal, path: { rolloutId: id }, query: { site: north } }),
    ).toMatchObject({
      status: 403,
    });
  });

  test('says of a device that its unit can spare no other, and who is away', async () => {
    const fleet = await pumps();
    const id = await running();
    const [away = '', waits = ''] = fleet.clinic;
    const place = { siteId: south, unitId: clinic, class: 'infusion-pump' } as const;
    const take = takeSparePart(directory, place, away, 'command cmd-1', 1, new Date());
    await directory.client.send(new TransactWriteCommand({ TransactItems: [take] }));
    await execution(id, waits, { status: { state: 'staged' } });
    const { body } = await call(handler, 'listRolloutDevices', { caller: bea, path: { rolloutId: id } });
    expect(body['items']).toMatchObject([
      { reason: 'unit-budget', words: '1 of its class are out of service in the unit, which can spare 1.' },
    ]);
  });
});

describe('A device that is missing in its unit', () => {
  const failed = { status: { state: 'failed', class: 'safety' }, outOfService: true } as const;
  const place = { siteId: south, unitId: clinic, class: 'infusion-pump' } as const;
  const takeAway = async (deviceId: string, by: string) => {
    const take = takeSparePart(directory, place, deviceId, by, 2, new Date());
    await directory.client.send(new TransactWriteCommand({ TransactItems: [take] }));
  };
  const away = async () =>
    Object.fromEntries(Object.entries(await readAway(directory, place, new Date())).map(([id, { by }]) => [id, by]));
  const putBack = (caller: Caller, rolloutId: string, deviceId: string, reason = 'Its self-test passed.') =>
    ask('returnRolloutDevice', caller, { rolloutId, deviceId }, { reason });

  test('is put back by who answers for its unit, once, with the reason in the timeline; its end stays', async () => {
    const fleet = await pumps();
    const id = await running();
    const [lost = '', other = ''] = fleet.clinic;
    await execution(id, lost, failed);
    await takeAway(lost, `rollout ${id}`);
    await takeAway(other, 'command c-1');
    // Ben is biomed of this site only; nobody else of it may, and no biomed of another.
    const ben = fresh('biomed', 'ben', [south]);
    for (const caller of [hal, fresh('biomed', 'bob', [north]), fresh('site-it', 'ida'), fresh('security', 'sue')]) {
      expect(await putBack(caller, id, lost)).toMatchObject({ status: 403 });
    }
    expect(await putBack(ben, id, lost, ' ')).toMatchObject({ status: 400 });
    expect(Object.keys(await away())).toHaveLength(2);
    expect(await putBack(ben, id, lost)).toMatchObject({
      status: 200,
      body: { deviceId: lost, state: 'failed', outOfService: false, unitId: clinic },
    });
    expect(await away()).toEqual({ [other]: 'command c-1' });
    expect(await putBack(ben, id, lost)).toMatchObject({
      status: 409,
      body: { detail: 'The device is not known to be out of service.' },
    });
    expect(await putBack(ben, id, other)).toMatchObject({ status: 403 });
    expect(await putBack(bea, id, other)).toMatchObject({ status: 404 });
    const { body } = await act('listRolloutTimeline', bea, id);
    const deeds = (body['items'] as { action: string; words: string }[]).filter(({ action, words }) => {
      return action === 'ReturnDevice' && words.includes(' put ');
    });
    expect(deeds.map(({ words }) => words)).toEqual([
      `user:ben put ${lost} back into service. Reason: Its self-test passed.`,
    ]);
  });

  test('is put back when the rollout is over, and when another rollout has the device since', async () => {
    const fleet = await pumps();
    const id = await running();
    const [lost = '', taken = ''] = fleet.clinic;
    for (const device of [lost, taken]) {
      await execution(id, device, failed);
      await takeAway(device, `rollout ${id}`);
    }
    const before = await getRollout(directory, id);
    if (before === undefined) throw new Error('no rollout');
    await saveRollout(directory, before, { ...before, state: 'completed', version: before.version + 1 }, []);
    for (const device of [lost, taken]) await execution('ro-next', device, {});
    await takeAway(taken, 'rollout ro-next');
    expect(await putBack(bea, id, lost)).toMatchObject({ status: 200, body: { outOfService: false } });
    expect(await putBack(bea, id, taken)).toMatchObject({
      status: 409,
      body: { detail: 'It is out of service for rollout ro-next now.' },
    });
    expect(await away()).toEqual({ [taken]: 'rollout ro-next' });
    expect(await getExecuted(devices, lost, id, 'forward')).toMatchObject({
      status: failed.status,
      outOfService: false,
    });
    expect(await getExecuted(devices, taken, id, 'forward')).toMatchObject({ outOfService: true });
    expect(await getExecution(devices, lost, 'firmware')).toMatchObject({ rolloutId: 'ro-next', version: 2 });
  });

  test('is not put back in the middle of its activation, but while it waits for its way back', async () => {
    const fleet = await pumps();
    const id = await running();
    const [busy = '', waits = ''] = fleet.clinic;
    await execution(id, busy, { status: { state: 'activating' }, outOfService: true });
    await execution(id, waits, { status: { state: 'staged' }, outOfService: true, direction: 'back' });
    for (const device of [busy, waits]) await takeAway(device, `rollout ${id}`);
    expect(await putBack(bea, id, busy)).toMatchObject({ status: 409, body: { state: 'activating' } });
    expect(await putBack(bea, id, waits)).toMatchObject({ status: 200, body: { state: 'staged', direction: 'back' } });
    expect(await away()).toEqual({ [busy]: `rollout ${id}` });
  });
});
