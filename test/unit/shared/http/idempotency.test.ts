import { newId } from '../../../../shared/http/idempotency.ts';

const now = Date.parse('2027-03-01T00:00:00Z');

test('an id is the same for the same key of the same person at the same place, and never otherwise', () => {
  const asked = { actor: 'user:ada', key: 'k' };
  expect(newId('u', asked, now)).toBe(newId('u', asked, now + 1));
  expect(newId('u', asked, now)).not.toBe(newId('u', { ...asked, actor: 'user:bea' }, now));
  expect(newId('u', { ...asked, within: 's-1' }, now)).not.toBe(newId('u', { ...asked, within: 's-2' }, now));
  const without = { ...asked, key: undefined };
  expect(newId('u', without, now)).not.toBe(newId('u', without, now));
  for (const key of ['k', undefined]) expect(newId('u', { ...asked, key }, now)).toMatch(/^u-[0-9a-z]{26}$/);
});
