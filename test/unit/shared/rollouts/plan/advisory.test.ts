import { isOpenOn } from '../../../../../shared/rollouts/plan/advisory.ts';

const advisory = { id: 'ICSMA-27-045-01', models: ['Infuse LV-8'], versions: { from: '9.0', below: '9.5' } };
const pump = (version: string | undefined, model: string | undefined = 'Infuse LV-8') => ({
  ...(model === undefined ? {} : { model }),
  ...(version === undefined ? {} : { version }),
});

describe('isOpenOn', () => {
  test('on the models and versions that the publisher names, the last one not included', () => {
    expect(['8.9', '9.0', '9.4.9', '9.5', '9.10'].map((version) => isOpenOn(advisory, pump(version)))).toEqual([
      ...[false, true, true, false, false],
    ]);
    expect(isOpenOn(advisory, pump('9.1', 'Infuse LV-9'))).toBe(false);
    expect(isOpenOn({ id: 'CVE-2027-1', versions: { below: '2' } }, pump('1.9', 'Any'))).toBe(true);
    expect(isOpenOn({ id: 'FSN-7', models: ['Infuse LV-8'] }, pump('99'))).toBe(true);
  });

  test('what is not known is not excluded', () => {
    expect(isOpenOn(advisory, pump(undefined))).toBe(true);
    expect(isOpenOn(advisory, pump('9.x'))).toBe(true);
    expect(isOpenOn(advisory, { version: '9.1' })).toBe(true);
    expect(isOpenOn(advisory, { version: '9.7' })).toBe(false);
  });
});
