import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiAddress } from '../../../cli/client/api.ts';

let folder: string;
const before = process.cwd();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wardline-cli-'));
  mkdirSync(join(folder, '.wardline'));
  process.chdir(folder);
  delete process.env['WARDLINE_API'];
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const localCloud = (api: unknown) => writeFileSync(join(folder, '.wardline', 'local.json'), JSON.stringify({ api }));

test('what is given comes before the environment, and that before a local cloud', () => {
  localCloud('http://localhost:3000');
  expect(apiAddress(undefined)).toBe('http://localhost:3000');
  process.env['WARDLINE_API'] = 'https://api.example.org';
  expect(apiAddress(undefined)).toBe('https://api.example.org');
  expect(apiAddress('http://127.0.0.1:8080/v1')).toBe('http://127.0.0.1:8080/v1');
});

test('the token is not sent in the clear, nor where a file in some folder says', () => {
  expect(() => apiAddress('http://api.example.org')).toThrow(/not https/);
  expect(() => apiAddress('ftp://localhost')).toThrow(/not https/);
  expect(() => apiAddress('api.example.org')).toThrow(/not the URL/);
  for (const api of ['https://elsewhere.example', 'http://localhost.example', 'nonsense', 5]) {
    localCloud(api);
    expect(apiAddress(undefined)).toBeUndefined();
  }
});
