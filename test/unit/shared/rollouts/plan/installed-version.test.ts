import fc from 'fast-check';
import { installedVersion } from '../../../../../shared/rollouts/plan/installed-version.ts';

const kind = fc.constantFrom('firmware', 'os', 'app', 'policy', 'agent');

describe('installedVersion', () => {
  const inventory = {
    os: { name: 'Debian GNU/Linux', version: '12' },
    agent: { name: 'wardline-agent', version: '0.2.0' },
    apps: [{ name: 'Chart' }, { name: 'Meds', version: '7.1' }],
    policies: [{ name: 'Meds', version: '3' }],
  };

  test('finds each kind where its inventory has it', () => {
    expect(installedVersion(inventory, { kind: 'os', name: 'any' })).toBe('12');
    expect(installedVersion(inventory, { kind: 'agent', name: 'wardline-agent' })).toBe('0.2.0');
    expect(installedVersion(inventory, { kind: 'app', name: 'Meds' })).toBe('7.1');
    expect(installedVersion(inventory, { kind: 'policy', name: 'Meds' })).toBe('3');
    expect(installedVersion({ ...inventory, firmwareVersion: 'F.21' }, { kind: 'firmware', name: 'BIOS' })).toBe(
      'F.21',
    );
  });

  test('takes the operating system for the firmware only of a device that tells of no other', () => {
    expect(installedVersion({ os: { version: '4.1' } }, { kind: 'firmware', name: 'Infuse' })).toBe('4.1');
    const both = { os: { version: '4.1' }, firmwareVersion: 'unknown' };
    expect(installedVersion(both, { kind: 'firmware', name: 'Infuse' })).toBeUndefined();
  });

  test('never guesses', () => {
    expect(installedVersion(inventory, { kind: 'app', name: 'Chart' })).toBeUndefined();
    expect(installedVersion(inventory, { kind: 'app', name: 'Maps' })).toBeUndefined();
    expect(installedVersion({ os: { version: 'unknown' } }, { kind: 'os', name: 'x' })).toBeUndefined();
    expect(installedVersion(undefined, { kind: 'os', name: 'x' })).toBeUndefined();
    expect(installedVersion({ os: { version: '1'.repeat(201) } }, { kind: 'os', name: 'x' })).toBeUndefined();
  });

  test('says a text or nothing, whatever a device sends', () => {
    const facts = fc.dictionary(
      fc.constantFrom('os', 'firmwareVersion', 'agent', 'apps', 'policies', '__proto__'),
      fc.anything(),
    );
    fc.assert(
      fc.property(facts, kind, fc.string(), (said, what, name) => {
        const version = installedVersion(said, { kind: what, name });
        expect(version === undefined || (typeof version === 'string' && version !== '')).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
