import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localAuthority } from '../../../../local/runtime/authority.ts';
import { openStore } from '../../../../local/runtime/store.ts';

test('issues server certificates that chain to it, and stays the same as long as its store does', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wardline-authority-'));
  const file = join(folder, 'ca.pem');
  const store = openStore();
  const authority = localAuthority(store, file);
  const ca = new X509Certificate(authority.certificatePem);

  const server = authority.serverCertificate(['localhost', 'devices.wardline.localhost']);
  const certificate = new X509Certificate(server.certificatePem);

  expect(readFileSync(file, 'utf8')).toBe(authority.certificatePem);
  expect(ca.ca).toBe(true);
  expect(certificate.checkIssued(ca)).toBe(true);
  expect(certificate.verify(ca.publicKey)).toBe(true);
  expect(certificate.checkHost('devices.wardline.localhost')).toBe('devices.wardline.localhost');
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(localAuthority(store, file).certificatePem).toBe(authority.certificatePem);
  store.close();
  rmSync(folder, { recursive: true });
});
