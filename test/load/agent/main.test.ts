import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deviceIdOf } from '../../../shared/devices/device.ts';
import { parseCertificateRequest } from '../../../shared/enrollment/csr.ts';
import { type AgentRun, runAgent } from '../../support/agent-program.ts';
import { startService, type TestService } from '../../support/agent-service.ts';

const serial = 'AGENT-TEST-1';
const deviceId = deviceIdOf(serial);
const commandId = (n: number): string => `5-01J0000000000000000000000${n}`;

let service: TestService;
let folder: string;
let state: string;
let runs: AgentRun[];

beforeEach(async () => {
  service = await startService();
  folder = mkdtempSync(join(tmpdir(), 'wardline-agent-'));
  state = join(folder, 'state');
  writeFileSync(join(folder, 'ca.pem'), service.ca);
  runs = [];
});

afterEach(async () => {
  for (const { child } of runs) child.kill('SIGKILL');
  await Promise.all(runs.map(({ ended }) => ended));
  await service.stop();
  rmSync(folder, { recursive: true });
});

function agent(...args: string[]): AgentRun {
  const run = runAgent(['--state', state, ...args]);
  runs.push(run);
  return run;
}

const enrolment = (): string[] => [
  '--enroll',
  service.enroll,
  '--token',
  service.token,
  '--serial',
  serial,
  '--device',
  service.device,
  '--mqtt',
  service.mqtt,
  '--ca',
  join(folder, 'ca.pem'),
];

test('enrols over EST, reports inventory and posture over MQTT, carries out commands and ends; then over HTTPS', async () => {
  service.queue(deviceId, { id: commandId(1), type: 'inventory' });
  service.queue(deviceId, { id: commandId(2), type: 'wipe' });

  const run = agent(...enrolment(), '--once');
  expect(await run.ended).toBe(0);

  expect(run.output()).toContain(`Enrolled as ${deviceId}`);
  const [first] = service.checkIns;
  expect(first?.channel).toBe('mqtt');
  expect(first?.message.inventory).toMatchObject({
    serial,
    serialSource: 'option',
    os: { kernel: expect.any(String) },
  });
  expect(first?.message.posture).toMatchObject({ diskEncryption: { state: expect.any(String) } });
  expect(service.results).toEqual([
    { commandId: commandId(1), status: 'acknowledged' },
    { commandId: commandId(2), status: 'failed', reason: 'unsupported' },
  ]);
  expect(statSync(join(state, 'identity.pem')).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(state, 'identity.pem'), 'utf8')).toContain('PRIVATE KEY');

  // A second run needs no options, and HTTPS carries the same.
  expect(await agent('--once', '--channel', 'https').ended).toBe(0);
  expect(service.checkIns.at(-1)?.channel).toBe('https');
  expect(service.issued).toHaveLength(1);
}, 300_000);

test('a command is carried out once, though the reply to its result was lost and the agent was killed', async () => {
  const first = agent(...enrolment());
  await service.until(() => service.connected.has(deviceId) && service.checkIns.length > 0);
  service.queue(deviceId, { id: commandId(3), type: 'collect-logs', parameters: { maxBytes: 2_048 } });
  await service.until(() => service.results.length === 1);
  first.child.kill('SIGKILL');
  await first.ended;

  // The service forgot that it had the result, as it would when it never arrived.
  service.queue(deviceId, { id: commandId(3), type: 'collect-logs', parameters: { maxBytes: 2_048 } });
  expect(await agent('--once').ended).toBe(0);

  expect(service.results).toHaveLength(2);
  expect(service.results[1]).toEqual(service.results[0]);
}, 300_000);

test('rotates its certificate on command and reports that under the new one', async () => {
  const run = agent(...enrolment());
  await service.until(() => service.checkIns.length > 0);
  service.queue(deviceId, { id: commandId(4), type: 'rotate-certificate' });
  await service.until(() => service.results.length === 1);

  expect(service.results[0]).toEqual({ commandId: commandId(4), status: 'acknowledged' });
  expect(service.issued).toHaveLength(2);
  expect(service.checkIns.at(-1)?.serial).toBe(service.issued[1]);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
}, 300_000);

test('renews a certificate that is past two thirds of its life', async () => {
  service.certificateAge = 3 * service.certificateSeconds;
  const run = agent(...enrolment());
  await service.until(() => service.issued.length === 1);
  service.certificateAge = 1;
  await service.until(() => service.checkIns.length === 2);

  expect(service.checkIns.map(({ serial: certificate }) => certificate)).toEqual(service.issued);
  run.child.kill('SIGTERM');
  expect(await run.ended).toBe(0);
}, 300_000);

test('an enrolment whose answer was lost is asked for again with the same key: the token is not used up by it', async () => {
  service.loseEnrolments(1);
  const lost = agent(...enrolment(), '--once');
  expect(await lost.ended).toBe(1);
  expect(statSync(join(state, 'enrolment-key.pem')).mode & 0o777).toBe(0o600);

  expect(await agent(...enrolment(), '--once').ended).toBe(0);
  const keys = service.requests.map((body) => parseCertificateRequest(body).publicKeyHash);
  expect(keys).toHaveLength(2);
  expect(keys[1]).toBe(keys[0]);
  expect(readdirSync(state)).not.toContain('enrolment-key.pem');
}, 300_000);

test('a refused token ends the program with what the server said, without the token', async () => {
  const run = agent(...enrolment(), '--token', 'wle_wrong');
  expect(await run.ended).toBe(1);
  expect(run.output()).toContain('simpleenroll was answered with 401: the token is not valid');
  expect(run.output()).not.toContain('wle_wrong');
}, 300_000);

test('a server that is not trusted, and one that is not there, are named with what can be done', async () => {
  const untrusted = agent(...enrolment().slice(0, -2), '--once');
  expect(await untrusted.ended).toBe(1);
  expect(untrusted.output()).toContain(`the certificate of ${new URL(service.enroll).host} is not trusted`);
  expect(untrusted.output()).toContain('--ca');
  const { enroll } = service;
  await service.stop();
  const alone = agent(...enrolment(), '--once');
  expect(await alone.ended).toBe(1);
  expect(alone.output()).toContain(`nothing answers at ${new URL(enroll).host}`);
});

test('a mistake on the command line ends with 2 and says what to do', async () => {
  const run = agent('--once');
  expect(await run.ended).toBe(2);
  expect(run.output()).toContain('give --enroll URL and --token TOKEN');
}, 300_000);
