import { DeleteCommand, ScanCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import { approvalHandlers } from '../../../functions/manage-commands/approvals.ts';
import { commandHandlers } from '../../../functions/manage-commands/commands.ts';
import { limitHandlers } from '../../../functions/manage-commands/limits.ts';
import { reviewHandlers } from '../../../functions/manage-commands/reviews.ts';
import { approvalPartition } from '../../../shared/approvals/store.ts';
import { auditRecord } from '../../../shared/audit/record.ts';
import { keepRecord, readTrail } from '../../../shared/audit/store.ts';
import type { Table } from '../../../shared/aws/dynamodb.ts';
import { queueCommand } from '../../../shared/commands/writer.ts';
import type { Device } from '../../../shared/devices/device.ts';
import { serveCheckIn } from '../../../shared/devices/serve-check-in.ts';
import { updateDevice } from '../../../shared/devices/store.ts';
import { serve } from '../../../shared/http/api.ts';
import type { Operation } from '../../../shared/http/routes.ts';
import type { Caller } from '../../../shared/identity/caller.ts';
import { Guard } from '../../../shared/identity/guard.ts';
import { loadPolicies } from '../../../shared/identity/policy-set.ts';
import { defaultLimits } from '../../../shared/limits/limits.ts';
import { PlaceStore } from '../../../shared/places/store.ts';
import type { CheckInMessage } from '../../../shared/protocols/agent/messages.ts';
import { reviewPartition } from '../../../shared/reviews/store.ts';
import { type ApiHandler, call, callerWith, freshMfa, type TestAnswer } from '../../support/api.ts';
import { approved, callerFor, enrol, message, start } from '../../support/devices.ts';
import { gateMeans } from '../../support/gates.ts';
import { startTestDatabase, type TestDatabase } from '../../support/test-database.ts';

// For a machine that does other things besides; nothing here waits for time to pass.
jest.setTimeout(120_000);

const siteId = `s-${'a'.repeat(26)}`;
const fresh = (role: string, sub: string): Caller => callerWith(role, { sub, ...freshMfa() });
const [ada, ben, sue, bea] = [
  fresh('administrator', 'ada'),
  fresh('administrator', 'ben'),
  fresh('security', 'sue'),
  fresh('biomed', 'bea'),
];

let database: TestDatabase;
let devices: Table;
let directory: Table;
let handler: ApiHandler;
let serials = 0;

beforeEach(async () => {
  devices = await database.table('bySite');
  directory = await database.table('byKind');
  const at = new Date(start);
  const kept = { createdAt: at.toISOString(), updatedAt: at.toISOString(), version: 1 };
  const entry = { actor: 'user:x', action: 'CreateSite', resource: 'site', outcome: 'allowed' } as const;
  await new PlaceStore(directory, devices).createSite(
    { id: siteId, name: 'North', timeZone: 'UTC', maintenanceWindows: [], blackouts: [], freezes: [], ...kept },
    auditRecord(`SITE#${siteId}`, entry, at),
  );
  const keep = (record: { pk: string } & Parameters<typeof keepRecord>[1]) =>
    keepRecord(record.pk.startsWith('DEVICE#') ? devices : directory, record);
  const services = { devices, directory, guard: new Guard(loadPolicies(), keep) };
  handler = serve('manage-commands', {
    ...commandHandlers(services),
    ...approvalHandlers(services),
    ...limitHandlers(services),
    ...reviewHandlers(services),
  });
});
beforeAll(async () => {
  database = await startTestDatabase();
});
afterAll(() => database.stop());

const entryOfX = { actor: 'user:x', action: 'x', resource: 'x', outcome: 'allowed' } as const;
const ask = (operation: Operation, caller: Caller, path: Record<string, string> = {}, body?: object) =>
  call(handler, operation, { caller, path, ...(body === undefined ? {} : { body }) });
const wipe = (caller: Caller, device: Device, more: object = {}) =>
  ask('createCommand', caller, { deviceId: device.id }, { type: 'wipe', ...more });
const approve = (caller: Caller, asked: TestAnswer, hash = asked.body['hash']) =>
  ask('approveRequest', caller, { approvalId: String(asked.body['id']) }, { hash });
const commandsOf = async (device: Device) =>
  (await ask('listCommands', ada, { deviceId: device.id })).body['items'] as Record<string, unknown>[];

/** A tablet that says that it lies charging in its dock. */
async function tablet(more: object = {}): Promise<Device> {
  serials += 1;
  const device = await enrol(devices, {
    serial: `TWO-${serials}`,
    platform: 'apple',
    class: 'tablet',
    ownership: 'organization',
    siteId,
    ...more,
  });
  await devices.client.send(
    new UpdateCommand({
      TableName: devices.name,
      Key: { pk: `DEVICE#${device.id}`, sk: 'HEAD' },
      UpdateExpression: 'SET clinical = :idle',
      ExpressionAttributeValues: {
        ':idle': {
          state: 'idle',
          at: new Date().toISOString(),
          docked: true,
          charging: true,
          battery: 90,
          session: false,
        },
      },
    }),
  );
  return device;
}

async function checkInOf(device: Device, now: number, more: Partial<CheckInMessage>) {
  const incoming = { caller: callerFor(device), message: message(now, more), receivedAt: now };
  const means = { now: () => now, random: () => 0, ...gateMeans(directory, () => now) };
  return { outcome: await serveCheckIn(devices, incoming, means) };
}

async function alerts(): Promise<Record<string, unknown>[]> {
  const { Items = [] } = await directory.client.send(
    new ScanCommand({
      TableName: directory.name,
      FilterExpression: 'sk = :alert',
      ExpressionAttributeValues: { ':alert': 'ALERT' },
      ConsistentRead: true,
    }),
  );
  return Items;
}

async function openCommands(): Promise<number> {
  const { Count } = await devices.client.send(
    new ScanCommand({
      TableName: devices.name,
      FilterExpression: 'begins_with(sk, :open)',
      ExpressionAttributeValues: { ':open': 'OPEN#' },
      Select: 'COUNT',
      ConsistentRead: true,
    }),
  );
  return Count ?? 0;
}

describe('A destructive command', () => {
  test('waits for a second person, who must be another one, with a fresh second factor and a role that fits', async () => {
    const device = await tablet();
    const asked = await wipe(ada, device, { reason: 'left the hospital' });
    expect(asked).toMatchObject({
      status: 202,
      headers: { location: `/v1/approvals/${asked.body['id']}` },
      body: {
        state: 'pending',
        kind: 'command',
        type: 'wipe',
        deviceIds: [device.id],
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        requestedBy: 'user:ada',
        needs: expect.stringContaining('Another person'),
      },
    });
    expect(await commandsOf(device)).toEqual([]);

    expect(await approve(ada, asked)).toMatchObject({ status: 403, body: { gate: 'approval', ruleId: 'R3' } });
    expect((await approve(callerWith('security', { sub: 'sue' }), asked)).status).toBe(401);
    expect((await approve(fresh('help-desk', 'hal'), asked)).status).toBe(403);
    expect((await approve(bea, asked)).status).toBe(403);
    expect((await approve(sue, asked, 'f'.repeat(64))).status).toBe(409);
    expect(await commandsOf(device)).toEqual([]);

    const done = await approve(sue, asked);
    expect(done).toMatchObject({
      status: 200,
      body: {
        state: 'approved',
        decidedBy: 'user:sue',
        results: [{ deviceId: device.id, commandId: expect.any(String) }],
      },
    });
    expect(await commandsOf(device)).toMatchObject([
      { type: 'wipe', requestedBy: 'user:ada', approvedBy: 'user:sue', approvalId: asked.body['id'] },
    ]);
    // Once more gives the same; somebody else is too late.
    expect((await approve(sue, asked)).body['results']).toEqual(done.body['results']);
    expect((await approve(ben, asked)).status).toBe(409);
    expect((await ask('getApproval', sue, { approvalId: String(asked.body['id']) })).body['state']).toBe('approved');

    const told = (await alerts()).map(({ kind, actor }) => `${kind} ${actor}`).sort();
    expect(told).toEqual([
      'approval-attempt user:ada',
      'approval-attempt user:bea',
      'approval-attempt user:sue',
      'approval-decided user:sue',
      'approval-requested user:ada',
    ]);
  });

  test('for patient care is approved by biomedical engineering', async () => {
    for (const kind of [
      { platform: 'iomt', class: 'infusion-pump' },
      { platform: 'windows', class: 'patient-monitor' },
      { platform: 'linux', class: 'other' },
    ]) {
      const device = await tablet(kind);
      const order = { type: 'install-update', parameters: { version: '2' } };
      const asked = await ask('createCommand', ada, { deviceId: device.id }, order);
      expect(asked.status).toBe(202);
      expect(await approve(sue, asked)).toMatchObject({
        status: 403,
        body: { policyIds: ['patient-care-needs-biomed'] },
      });
      expect(await approve(bea, asked)).toMatchObject({ status: 200, body: { state: 'approved' } });
    }
  });

  test('is not done when what was asked for was changed in the table, and not after an hour', async () => {
    const [device, other] = [await tablet(), await tablet()];
    const asked = await wipe(ada, device);
    const change = (expression: string, value: unknown, names: Record<string, string>) =>
      directory.client.send(
        new UpdateCommand({
          TableName: directory.name,
          Key: { pk: approvalPartition(String(asked.body['id'])), sk: 'APPROVAL' },
          UpdateExpression: expression,
          ExpressionAttributeNames: names,
          ExpressionAttributeValues: { ':value': value },
        }),
      );
    await change('SET #content.#ids = :value', [device.id, other.id], { '#content': 'content', '#ids': 'deviceIds' });
    expect(await approve(sue, asked)).toMatchObject({ status: 409, body: { gate: 'approval' } });
    const second = await wipe(ada, other);
    await directory.client.send(
      new UpdateCommand({
        TableName: directory.name,
        Key: { pk: approvalPartition(String(second.body['id'])), sk: 'APPROVAL' },
        UpdateExpression: 'SET expiresAt = :past',
        ExpressionAttributeValues: { ':past': new Date(Date.now() - 1).toISOString() },
      }),
    );
    expect(await approve(sue, second)).toMatchObject({ status: 409, body: { approvalState: 'expired' } });
    expect(await openCommands()).toBe(0);
  });

  test('is not done for a device that stands at another site by then', async () => {
    const [device, other] = [await tablet(), await tablet()];
    const asked = await ask('createCommands', ada, {}, { type: 'wipe', deviceIds: [device.id, other.id] });
    const south = `s-${'c'.repeat(26)}`;
    const moved = await updateDevice(devices, device.id, 'any', { siteId: south }, () =>
      auditRecord(`DEVICE#${device.id}`, { ...entryOfX, action: 'UpdateDevice' }, new Date()),
    );
    expect((await approve(sue, asked)).body['results']).toEqual(
      expect.arrayContaining([
        { deviceId: device.id, refused: expect.stringContaining('moved to another site') },
        { deviceId: other.id, commandId: expect.any(String) },
      ]),
    );
    // Around the handler: what was permitted at one site is not done at another.
    const request = { deviceId: moved.id, request: { type: 'restart' }, requestedBy: 'user:ada', now: new Date() };
    await expect(
      queueCommand({ devices, directory }, { ...request, entry: { ...entryOfX, siteId } }),
    ).rejects.toMatchObject({ problem: { gate: 'authorization', ruleId: 'R2' } });
    expect(await openCommands()).toBe(1);
  });

  test('is denied with a remark without a second factor, or withdrawn by who asked', async () => {
    const device = await tablet();
    const [first, second] = [await wipe(ada, device), await wipe(ada, device)];
    const path = (asked: TestAnswer) => ({ approvalId: String(asked.body['id']) });
    const hal = callerWith('help-desk', { sub: 'hal', sites: [siteId] });
    // The help desk may not read requests, and whoever may not read does not decide.
    expect((await ask('denyRequest', hal, path(first), { remark: 'no' })).status).toBe(403);
    const ida = callerWith('site-it', { sub: 'ida', sites: [siteId] });
    expect(await ask('denyRequest', ida, path(first), { remark: 'still in use' })).toMatchObject({
      status: 200,
      body: { state: 'denied', decidedBy: 'user:ida', remark: 'still in use' },
    });
    expect((await approve(sue, first)).status).toBe(409);
    expect((await ask('withdrawRequest', ben, path(second))).status).toBe(403);
    const suspended = { ...ada, status: 'suspended' };
    for (const operation of ['getApproval', 'withdrawRequest'] as const) {
      expect(await ask(operation, suspended, path(second))).toMatchObject({
        status: 403,
        body: { policyIds: ['suspended'] },
      });
    }
    expect((await ask('withdrawRequest', ada, path(second))).body['state']).toBe('withdrawn');
    expect((await approve(sue, second)).status).toBe(409);
    const list = await call(handler, 'listApprovals', { caller: sue, query: { state: 'denied' } });
    expect(list.body['items']).toMatchObject([{ id: first.body['id'] }]);
    expect(await openCommands()).toBe(0);
  });

  test('asked for twice with one Idempotency-Key is one request', async () => {
    const device = await tablet();
    const send = (body: object) =>
      call(handler, 'createCommand', {
        caller: ada,
        path: { deviceId: device.id },
        headers: { 'Idempotency-Key': 'once' },
        body,
      });
    const first = await send({ type: 'wipe' });
    expect((await send({ type: 'wipe' })).body['id']).toBe(first.body['id']);
    expect((await send({ type: 'wipe', parameters: { pin: '123456' } })).status).toBe(409);
  });
});

describe('One request for many devices', () => {
  test('is decided for each; more than the limit allows wait for a second person, whatever it is', async () => {
    const fleet = await Promise.all(Array.from({ length: 26 }, () => tablet()));
    const ids = fleet.map(({ id }) => id);
    const few = await ask('createCommands', ada, {}, { type: 'locate', deviceIds: ids.slice(0, 25) });
    expect(few.status).toBe(200);
    expect(few.body['results']).toHaveLength(25);
    expect(await openCommands()).toBe(25);
    const many = await ask('createCommands', ada, {}, { type: 'inventory', deviceIds: ids });
    expect(many).toMatchObject({ status: 202, body: { type: 'inventory', deviceIds: [...ids].sort() } });
    // Who asks for many proves a second factor as well, whatever it is; for few it takes none.
    const hal = (order: object) => ask('createCommands', callerWith('help-desk', { sub: 'hal' }), {}, order);
    expect(await hal({ type: 'restart', deviceIds: ids })).toMatchObject({
      status: 401,
      body: { policyIds: ['destructive-needs-fresh-mfa'] },
    });
    expect((await hal({ type: 'message', parameters: { text: 'Hello.' }, deviceIds: ids.slice(0, 1) })).status).toBe(
      200,
    );
    const helpDesk = await ask('createCommands', fresh('help-desk', 'hal'), {}, { type: 'lock', deviceIds: ids });
    expect(helpDesk.status).toBe(202);
    expect((await approve(ada, many)).status).toBe(403);
    expect((await approve(sue, many)).body['results']).toHaveLength(26);
    expect(await openCommands()).toBe(52);
    // Around the handler: the writer itself does not take a part of a large request for a small one.
    const entry = { actor: 'user:ada', action: 'x', resource: 'x', outcome: 'allowed' } as const;
    const request = { deviceId: ids[0] ?? '', request: { type: 'collect-logs' }, requestedBy: 'user:ada', entry };
    await expect(
      queueCommand({ devices, directory }, { ...request, devices: 26, now: new Date() }),
    ).rejects.toMatchObject({ problem: { gate: 'approval', ruleId: 'R3' } });
    expect((await ask('createCommands', ada, {}, { type: 'locate', deviceIds: [ids[0], ids[0]] })).status).toBe(400);
    expect((await ask('createCommands', ada, {}, { type: 'locate', deviceIds: [`d-${'0'.repeat(24)}`] })).status).toBe(
      400,
    );
  });
});

test('a request that is also about a device that stands nowhere is read by those alone who may read everywhere', async () => {
  const nowhere = await enrol(devices, {
    serial: 'NOWHERE-1',
    platform: 'apple',
    class: 'tablet',
    ownership: 'organization',
  });
  const device = await tablet();
  const deviceIds = [device.id, nowhere.id];
  const asked = await ask('createCommands', ada, {}, { type: 'wipe', deviceIds });
  expect(asked.status).toBe(202);
  const path = { approvalId: String(asked.body['id']) };
  const ida = callerWith('site-it', { sub: 'ida', sites: [siteId] });
  expect((await ask('getApproval', ida, path)).status).toBe(403);
  expect((await call(handler, 'listApprovals', { caller: ida })).body['items']).toEqual([]);
  expect((await ask('getApproval', sue, path)).status).toBe(200);
  // It is the organization's, which the site of the tablet lies in: it was not moved.
  expect((await approve(sue, asked)).body['results']).toEqual(
    expect.arrayContaining([
      { deviceId: device.id, commandId: expect.any(String) },
      { deviceId: nowhere.id, refused: expect.stringContaining('in use') },
    ]),
  );
});

describe('Limits', () => {
  test('are never exceeded by 200 requests at the same moment, each with two people behind it', async () => {
    const fleet = await Promise.all(Array.from({ length: 200 }, () => tablet()));
    const now = Date.now();
    const entry = { actor: 'user:anna', action: 'WipeDevice', resource: 'x', outcome: 'allowed' } as const;
    const outcomes = await Promise.allSettled(
      fleet.map((device) =>
        queueCommand(
          { devices, directory },
          {
            deviceId: device.id,
            request: { type: 'wipe' },
            requestedBy: 'user:anna',
            approval: approved({ kind: 'command', type: 'wipe', parameters: {}, deviceIds: [device.id] }, now),
            entry,
            now: new Date(now),
          },
        ),
      ),
    );
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused.map((error) => error.problem?.gate)).toEqual(refused.map(() => 'limiter'));
    expect(refused[0]).toMatchObject({
      problem: { status: 409, ruleId: 'R4', until: new Date(now + 3_600_000).toISOString() },
    });
    // 5 % of 200 devices.
    expect(await openCommands()).toBe(10);
    expect((await alerts()).filter(({ kind }) => kind === 'limit-reached')).toMatchObject([
      { actor: 'user:anna', summary: expect.stringContaining('wipe: 10 of at most 10 devices') },
    ]);
  });

  test('keep one person from restarting a network in many small requests', async () => {
    const fleet = await Promise.all(Array.from({ length: 130 }, () => tablet()));
    const parts = Array.from({ length: 6 }, (_, n) => fleet.slice(n * 25, n * 25 + 25).map(({ id }) => id));
    for (const deviceIds of parts.filter(({ length }) => length > 0)) {
      expect((await ask('createCommands', ada, {}, { type: 'restart', deviceIds })).status).toBe(200);
    }
    expect(await openCommands()).toBe(100);
    expect((await alerts()).filter(({ kind }) => kind === 'limit-reached')).toMatchObject([
      { actor: 'user:ada', summary: expect.stringContaining('restart: 100 of at most 100 devices') },
    ]);
  });

  test('are changed by two people, and only if nobody changed them since', async () => {
    expect((await ask('getLimits', sue)).body).toEqual({ limits: defaultLimits });
    expect((await ask('getLimits', callerWith('site-it', { sites: [siteId] }))).status).toBe(200);
    expect(await ask('getLimits', callerWith('help-desk'))).toMatchObject({ status: 403, body: { policyIds: [] } });
    const more = { ...defaultLimits, bulkWithoutApproval: 50 };
    expect((await ask('updateLimits', sue, {}, more)).status).toBe(403);
    const [first, second] = [
      await ask('updateLimits', ada, {}, more),
      await ask('updateLimits', ada, {}, defaultLimits),
    ];
    expect(first).toMatchObject({ status: 202, body: { kind: 'limits', limits: more } });
    expect((await approve(sue, first)).status).toBe(403);
    expect(await approve(ben, first)).toMatchObject({ status: 200, body: { state: 'approved' } });
    expect((await ask('getLimits', sue)).body).toMatchObject({ limits: more, changedBy: ['user:ada', 'user:ben'] });
    expect((await approve(ben, second)).status).toBe(409);
    expect((await ask('updateLimits', ada, {}, { ...more, wipe: undefined })).status).toBe(400);
  });
});

describe('Break-glass', () => {
  const breakGlass = { reasonCode: 'active-attack', text: 'devices are being carried away' };

  test('is one person, one device, an hour, an alert, and a review by somebody else', async () => {
    const [device, other] = [await tablet(), await tablet()];
    expect((await wipe(callerWith('administrator', { sub: 'ada' }), device, { breakGlass })).status).toBe(401);
    expect((await wipe(fresh('help-desk', 'hal'), device, { breakGlass })).status).toBe(403);
    const before = Date.now();
    const done = await wipe(ada, device, { breakGlass });
    expect(done).toMatchObject({ status: 201, body: { type: 'wipe', breakGlass: { reasonCode: 'active-attack' } } });
    expect(Date.parse(String(done.body['expiresAt']))).toBeLessThanOrEqual(Date.now() + 3_600_000);
    expect(await wipe(ada, other, { breakGlass })).toMatchObject({
      status: 409,
      body: { gate: 'limiter', ruleId: 'R12' },
    });
    expect((await wipe(ada, other, { breakGlass: { ...breakGlass, text: 'short' } })).status).toBe(400);

    const { reviewId } = done.body['breakGlass'] as { reviewId: string };
    const open = await call(handler, 'listReviews', { caller: sue });
    expect(open.body['items']).toMatchObject([{ id: reviewId, state: 'open', by: 'user:ada', deviceId: device.id }]);
    const [{ dueAt }] = open.body['items'] as [{ dueAt: string }];
    expect(Date.parse(dueAt)).toBeGreaterThanOrEqual(before + 72 * 3_600_000);
    const finding = { justified: true, finding: 'Seen on the camera of the loading dock.' };
    expect((await ask('completeReview', ada, { reviewId }, finding)).status).toBe(403);
    const { items: tried } = await readTrail(directory, reviewPartition(reviewId), 10);
    expect(tried.filter(({ outcome }) => outcome === 'refused')).toMatchObject([
      { action: 'CompleteReview', actor: 'user:ada', after: { reviewId } },
    ]);
    expect(await ask('completeReview', sue, { reviewId }, finding)).toMatchObject({
      status: 200,
      body: { state: 'completed', completedBy: 'user:sue', justified: true },
    });
    expect((await ask('completeReview', ben, { reviewId }, finding)).status).toBe(409);
    expect((await call(handler, 'listReviews', { caller: sue })).body['items']).toEqual([]);
    expect((await alerts()).find(({ kind }) => kind === 'break-glass')).toMatchObject({
      actor: 'user:ada',
      summary: expect.stringContaining(device.id),
    });
  });

  test('is counted whatever it is for, takes the place of what waits, and still counts when the device is taken up', async () => {
    const [device, other] = [await tablet(), await tablet()];
    const restart = (of: Device, more: object = {}) =>
      ask('createCommand', ada, { deviceId: of.id }, { type: 'restart', ...more });
    const waiting = await restart(device);
    const forced = await restart(device, { breakGlass });
    expect(forced).toMatchObject({ status: 201, body: { breakGlass: { reasonCode: 'active-attack' } } });
    expect(forced.body['id']).not.toBe(waiting.body['id']);
    const list = await commandsOf(device);
    expect(list).toMatchObject([
      { id: forced.body['id'] },
      {
        id: waiting.body['id'],
        status: 'cancelled',
        history: [{}, {}, { reason: expect.stringContaining('emergency') }],
      },
    ]);
    // Forced past the interlock of a device in use: one an hour, like everything past approval.
    for (const type of ['restart', 'lock', 'collect-logs']) {
      const again = await ask('createCommand', ada, { deviceId: other.id }, { type, breakGlass });
      expect([type, again.status, again.body['ruleId']]).toEqual([type, 409, 'R12']);
    }
    expect((await restart(device, { breakGlass })).body['id']).toBe(forced.body['id']);

    const said = { state: 'in-use' as const, at: new Date().toISOString() };
    const now = Date.now();
    const { outcome } = await checkInOf(device, now, { clinical: said });
    expect(outcome).toMatchObject({ reply: { commands: [{ id: forced.body['id'] }] } });
  });

  test('also revokes, and is not for many', async () => {
    const device = await tablet();
    expect(await ask('revokeDevice', ada, { deviceId: device.id }, { breakGlass })).toMatchObject({
      status: 200,
      body: { lifecycle: 'revoked' },
    });
    expect((await call(handler, 'listReviews', { caller: sue })).body['items']).toMatchObject([{ type: 'revoke' }]);
    // Deleting the record of the device does not make its review go away.
    const { id, pk, sk } = { id: device.id, pk: `DEVICE#${device.id}`, sk: 'HEAD' };
    await devices.client.send(new DeleteCommand({ TableName: devices.name, Key: { pk, sk } }));
    const [{ id: reviewId }] = (await call(handler, 'listReviews', { caller: sue })).body['items'] as [{ id: string }];
    const finding = { justified: true, finding: 'It was stolen, and is registered no more.' };
    expect((await ask('completeReview', fresh('site-it', 'ida'), { reviewId }, finding)).status).toBe(403);
    expect((await ask('completeReview', sue, { reviewId }, finding)).body['state']).toBe('completed');
    const order = { type: 'wipe', deviceIds: [id], breakGlass };
    expect((await ask('createCommands', ada, {}, order)).status).toBe(400);
  });
});

describe('A mass wipe with stolen tokens', () => {
  test('touches at most the limit of devices, and the alerts name who and what', async () => {
    const fleet = await Promise.all(Array.from({ length: 100 }, () => tablet()));
    const ids = fleet.map(({ id }) => id);
    const breakGlass = { reasonCode: 'active-attack', text: 'just do it, do it now' };

    // One stolen administrator, even with a fresh second factor: alone, at once, one by one, past approval.
    const bulk = await ask('createCommands', ada, {}, { type: 'wipe', deviceIds: ids });
    expect(bulk.status).toBe(202);
    expect((await approve(ada, bulk)).status).toBe(403);
    const single = await Promise.all(fleet.slice(0, 20).map((device) => wipe(ada, device)));
    expect(new Set(single.map(({ status }) => status))).toEqual(new Set([202]));
    expect(
      (await Promise.all(single.slice(0, 5).map((asked) => approve(ada, asked)))).map(({ status }) => status),
    ).toEqual([403, 403, 403, 403, 403]);
    expect(await openCommands()).toBe(0);

    // A second stolen token without a fresh second factor, and one that is hours old.
    const stale = { ...ben, authTime: Math.floor(Date.now() / 1_000) - 7_200 };
    for (const second of [callerWith('administrator', { sub: 'ben' }), stale]) {
      expect((await approve(second, bulk)).status).toBe(401);
      expect((await ask('updateLimits', second, {}, defaultLimits)).status).toBe(401);
    }
    expect(await openCommands()).toBe(0);

    // The glass, for every device at once: one.
    const emergencies = await Promise.all(fleet.map((device) => wipe(ada, device, { breakGlass })));
    expect(emergencies.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await openCommands()).toBe(1);

    // Even two whole stolen identities: what an hour's limit lets through.
    expect((await approve(ben, bulk)).status).toBe(200);
    // 5 % of 100, and the one of before.
    expect(await openCommands()).toBeLessThanOrEqual(5 + 1);

    const told = await alerts();
    const requested = told.find(
      ({ kind, see }) => kind === 'approval-requested' && see === `/v1/approvals/${bulk.body['id']}`,
    );
    expect(requested).toMatchObject({
      actor: 'user:ada',
      summary: 'user:ada asks for wipe of 100 devices; a second person is needed.',
      details: { devices: 100 },
    });
    expect(told.filter(({ kind, actor }) => kind === 'approval-attempt' && actor === 'user:ben')).toHaveLength(2);
    expect(told.some(({ kind, summary }) => kind === 'limit-reached' && String(summary).includes('wipe'))).toBe(true);
    expect(told.filter(({ kind }) => kind === 'break-glass')).toHaveLength(1);
  });
});
