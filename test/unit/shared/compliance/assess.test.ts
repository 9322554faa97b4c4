import fc from 'fast-check';
import { assess } from '../../../../shared/compliance/assess.ts';

const good = { diskEncryption: { state: 'encrypted' }, screenLock: { state: 'enabled' }, updates: { security: 0 } };

describe('assess', () => {
  test('a device that meets the baseline is compliant', () => {
    expect(assess(good)).toBe('compliant');
    expect(assess({ ...good, screenLock: { state: 'not-applicable' } })).toBe('compliant');
  });

  test('one failure is enough, also beside what is unknown', () => {
    expect(assess({ ...good, diskEncryption: { state: 'partly-encrypted' } })).toBe('not-compliant');
    expect(assess({ updates: { security: 3 } })).toBe('not-compliant');
    expect(assess({ screenLock: { state: 'disabled' }, updates: { security: 'unknown' } })).toBe('not-compliant');
  });

  test('what is not known never makes a device compliant', () => {
    fc.assert(
      fc.property(fc.constantFrom('diskEncryption', 'screenLock', 'updates'), fc.jsonValue(), (name, value) => {
        fc.pre(typeof value !== 'object' || value === null || !('state' in value || 'security' in value));
        expect(assess({ ...good, [name]: value })).toBe('unknown');
      }),
    );
    expect(assess({})).toBe('unknown');
  });
});
