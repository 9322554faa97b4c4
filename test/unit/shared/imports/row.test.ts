import fc from 'fast-check';
import { parseRow } from '../../../../shared/imports/row.ts';

describe('parseRow', () => {
  test('understands what other systems call things', () => {
    expect(
      parseRow({ serial: ' ab-1 ', platform: 'iPadOS', class: 'iPad', ownership: 'Corporate', site: 'Linden Park' }),
    ).toEqual({
      serial: 'AB-1',
      platform: 'apple',
      class: 'tablet',
      ownership: 'organization',
      site: 'Linden Park',
    });
    expect(parseRow({ serial: 'p1', platform: 'Medical Device', class: 'Infusion_Pump' })).toMatchObject({
      platform: 'iomt',
      class: 'infusion-pump',
    });
    expect(parseRow({ serial: 'w1', platform: 'Windows 11', class: 'Workstation on Wheels' })).toMatchObject({
      class: 'workstation',
    });
    expect(parseRow({ serial: 'x', platform: 'linux' })).toMatchObject({ class: 'other', ownership: 'organization' });
  });

  test('puts the parts of a location together', () => {
    const row = { serial: 'p1', platform: 'iomt', building: 'East Tower', floor: '5', room: '512', bed: 'B' };
    expect(parseRow(row)).toMatchObject({ location: '^512^B^^^^East Tower^5' });
    expect(parseRow({ ...row, room: 'a^b' })).toMatchObject({ reasons: [expect.stringContaining('location')] });
    expect(parseRow({ serial: 'p1', platform: 'iomt' })).not.toHaveProperty('location');
  });

  test('says everything that is wrong at once, without the values', () => {
    const refusal = parseRow({
      serial: 'ä?',
      platform: 'toaster',
      class: 'spoon',
      ownership: 'mine',
      unit: 'ICU',
      name: 'n'.repeat(121),
    });
    expect(refusal).toHaveProperty('reasons.length', 6);
    expect(JSON.stringify(refusal)).not.toContain('toaster');
    expect(parseRow({})).toEqual({ reasons: ['The serial number is missing.', 'The platform is missing.'] });
    expect(parseRow({ serial: 'a', platform: 'constructor' })).toHaveProperty('reasons');
  });

  test('never throws', () => {
    const text = fc.option(fc.string(), { nil: undefined });
    const cells = fc.record({
      serial: text,
      platform: text,
      class: text,
      ownership: text,
      site: text,
      unit: text,
      name: text,
    });
    fc.assert(
      fc.property(cells, (given) => {
        const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
        const row = parseRow(known);
        expect('reasons' in row ? row.reasons.length : row.serial.length).toBeGreaterThan(0);
      }),
    );
  });
});
