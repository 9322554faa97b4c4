import fc from 'fast-check';
import { parseAptSimulation, parseDnfUpdateInfo } from '../../../../agent/report/updates.ts';

test('counts what apt would install, by archive', () => {
  const text = [
    'NOTE: This is only a simulation!',
    'Reading package lists...',
    'Inst libssl3 [3.0.15-1~deb12u1] (3.0.16-1~deb12u1 Debian-Security:12/stable-security [amd64])',
    'Inst linux-image-6.1.0-40-amd64 (6.1.153-1 Debian:12.12/oldstable, Debian-Security:12/oldstable-security [amd64])',
    'Inst tzdata [2025a-0+deb12u1] (2025b-0+deb12u1 Debian:12.11/stable [all]) []',
    'Inst base-files [12ubuntu4] (12ubuntu4.7 Ubuntu:22.04/jammy-updates [amd64])',
    'Inst curl [7.81.0] (7.81.1 Ubuntu:22.04/jammy-security [amd64])',
    'Conf libssl3 (3.0.16-1~deb12u1 Debian-Security:12/stable-security [amd64])',
    'Remv oldthing [1]',
  ].join('\n');
  expect(parseAptSimulation(text)).toEqual({ total: 5, security: 3 });
  expect(parseAptSimulation('')).toEqual({ total: 0, security: 0 });
});

test('a package that is called security is not a security update', () => {
  expect(parseAptSimulation('Inst security-tools [1] (2 Debian:12/stable [all])')).toEqual({ total: 1, security: 0 });
});

test('counts packages of dnf advisories once', () => {
  const text = [
    'FEDORA-2026-1a Important/Sec. openssl-1:3.2.2-1.fc42.x86_64',
    'FEDORA-2026-2b bugfix         openssl-1:3.2.2-1.fc42.x86_64',
    'FEDORA-2026-3c enhancement    vim-minimal-2:9.1.1-1.fc42.x86_64',
    'RHSA-2026:1 security bash-5.1-2.el9.x86_64',
    'Last metadata expiration check: 0:01:02 ago',
  ].join('\n');
  expect(parseDnfUpdateInfo(text)).toEqual({ total: 3, security: 2 });
});

test('there are never more security updates than updates', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.string({ maxLength: 80 }), (text, origin) => {
      for (const { total, security } of [
        parseAptSimulation(`${text}\nInst x [1] (2 ${origin})\n`),
        parseDnfUpdateInfo(`${text}\nA ${origin} b-1-1.x86_64`),
      ]) {
        expect(security).toBeGreaterThanOrEqual(0);
        expect(security).toBeLessThanOrEqual(total);
      }
    }),
  );
});
