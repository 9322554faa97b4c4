import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newPrivateKey } from '../../../agent/enrollment/request.ts';
import { AgentState } from '../../../agent/state.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-state-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const settings = { serial: { serial: 'A1', source: 'option' }, endpoints: { mqtt: 'mqtts://broker' } };
const certificatePem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const modeOf = (file: string) => statSync(join(folder, file)).mode & 0o777;

test('what is kept can be read by nobody else, also when something readable lies where it is written', () => {
  writeFileSync(join(folder, 'agent.json.new'), 'left by a stop');
  chmodSync(join(folder, 'agent.json.new'), 0o644);
  const state = new AgentState(folder);
  state.settings = settings;
  expect(modeOf('agent.json')).toBe(0o600);
  expect(new AgentState(folder).settings).toEqual(settings);
});

test('a link where it writes is not followed', () => {
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'untouched');
  symlinkSync(victim, join(folder, 'agent.json.new'));
  new AgentState(folder).settings = settings;
  expect(readFileSync(victim, 'utf8')).toBe('untouched');
  expect(new AgentState(folder).settings).toEqual(settings);
});

test('the key of an enrolment is kept until there is an identity', async () => {
  const { identities } = new AgentState(folder);
  expect(identities.enrolmentKey?.load()).toBeUndefined();
  const privateKeyPem = await newPrivateKey();
  identities.enrolmentKey?.save(privateKeyPem);
  expect(modeOf('enrolment-key.pem')).toBe(0o600);
  expect(new AgentState(folder).identities.enrolmentKey?.load()).toBe(privateKeyPem);
  identities.save({ current: { certificatePem, privateKeyPem } });
  expect(identities.enrolmentKey?.load()).toBeUndefined();
  expect(identities.load()).toEqual({ current: { certificatePem, privateKeyPem } });
});

test('a file that is damaged is named, never taken for one that is not there', () => {
  writeFileSync(join(folder, 'identity.pem'), 'half a file');
  expect(() => new AgentState(folder).identities.load()).toThrow(/identity\.pem cannot be used/);
});
