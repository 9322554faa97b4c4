import { toJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { ProblemError } from '../../../../shared/http/problem.ts';
import { validate } from '../../../../shared/http/validate.ts';
import { RolloutInput } from '../../../../shared/rollouts/definition.ts';
import { defaultGate } from '../../../../shared/rollouts/gate/gate.ts';
import { defaultWaves } from '../../../../shared/rollouts/gate/wave-definition.ts';
import type { RolloutDefinition } from '../../../../shared/rollouts/rollout.ts';

const unit = (n: number) => `u-${String(n).padStart(26, '0')}`;
const least = {
  name: 'Infuse 9.5.0',
  artifact: { kind: 'firmware', name: 'Infuse LV-8', version: '9.5.0', sha256: 'AB'.repeat(32), signature: 'c2lnbmVk' },
  selection: { classes: ['infusion-pump'] },
  wayBack: 'The menu of the pump brings the earlier version back.',
};
const rest = { name: 'The rest', scope: { kind: 'rest' } };

/** What is wrong, as `<pointer> <detail>`. */
function wrongWith(input: unknown): string[] {
  try {
    validate(RolloutInput, input);
    return [];
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const { errors = [] } = error.problem as { errors?: readonly { pointer: string; detail: string }[] };
    return errors.map(({ pointer, detail }) => `${pointer} ${detail}`);
  }
}

describe('RolloutInput', () => {
  test('what is left out takes the defaults', () => {
    const definition: RolloutDefinition = validate(RolloutInput, least);
    expect(definition).toEqual({
      ...least,
      artifact: { ...least.artifact, sha256: 'ab'.repeat(32) },
      ...{ waves: defaultWaves([]), order: 'pilot-first', onStop: 'pause', soakHours: 24 },
    });
    const waves = [{ name: 'Pilot', scope: { kind: 'units', unitIds: [unit(1)] } }, rest];
    const own = validate(RolloutInput, { ...least, waves });
    expect(own.waves).toEqual(waves.map((wave) => ({ ...wave, bakeHours: 24, gate: defaultGate })));
    const gate = { failures: { p1: 0.3 } };
    const lenient = validate(RolloutInput, { ...least, waves: [{ ...waves[0], gate }, rest] });
    expect(lenient.waves[0]?.gate).toEqual({ ...defaultGate, failures: { ...defaultGate.failures, p1: 0.3 } });
  });

  test('advisories are for an order by risk, and say what they affect in the words of a version range', () => {
    const advisories = [{ id: 'ICSMA-27-045-01', models: ['Infuse LV-8'], versions: { below: '9.5.0' } }];
    expect(validate(RolloutInput, { ...least, order: 'risk-first', advisories })).toMatchObject({ advisories });
    expect(wrongWith({ ...least, advisories })).toEqual([
      '/order must be risk-first: in another order advisories would change nothing',
    ]);
    const wrong = [{ id: '', versions: {} }];
    expect(wrongWith({ ...least, order: 'risk-first', advisories: wrong })).toEqual([
      '/advisories/0/id must not be empty',
      '/advisories/0/versions must have from, below, or both',
    ]);
  });

  test('what was accepted is accepted again, as a client sends it back', () => {
    const once = validate(RolloutInput, {
      ...least,
      artifact: { ...least.artifact, url: 'https://files.example/9.5' },
    });
    expect(validate(RolloutInput, JSON.parse(JSON.stringify(once)))).toEqual(once);
  });

  test.each<[string, unknown, string]>([
    [
      'a digest of another length',
      { artifact: { sha256: 'ab' } },
      '/artifact/sha256 must be a SHA-256: 64 hexadecimal digits',
    ],
    ['a signature that is no base64', { artifact: { signature: '?' } }, '/artifact/signature must be base64'],
    ['an unknown kind', { artifact: { kind: 'driver' } }, '/artifact/kind must be'],
    ['no encryption', { artifact: { url: 'http://files.example/x' } }, '/artifact/url must be https'],
    ['a password', { artifact: { url: 'https://a:b@files.example/x' } }, '/artifact/url must be https'],
    ['no address', { artifact: { url: 'files' } }, '/artifact/url must be a URL'],
    ['an empty filter', { selection: { models: [] } }, '/selection/models must name at least one'],
    ['a name twice', { selection: { tags: ['a', 'a'] } }, '/selection/tags must name none twice'],
    ['no such class', { selection: { classes: ['toaster'] } }, '/selection/classes/0 must be'],
    ['an empty range', { selection: { versions: {} } }, '/selection/versions must have from, below, or both'],
    ['no way back', { wayBack: ' ' }, '/wayBack must not be empty'],
    ['one wave', { waves: [rest] }, '/waves A rollout has at least two waves'],
    [
      'no rest',
      {
        waves: [
          { name: 'a', scope: { kind: 'one-unit' } },
          { name: 'b', scope: { kind: 'one-site' } },
        ],
      },
      '/waves The last wave',
    ],
    [
      'a share of all',
      { waves: [{ name: 'a', scope: { kind: 'share-of-sites', percent: 100 } }, rest] },
      '/waves a: a share is',
    ],
    [
      'a short bake',
      { waves: [{ name: 'a', scope: { kind: 'one-unit' }, bakeHours: 1 }, rest] },
      '/waves a: a bake is',
    ],
    [
      'a test the wrong way round',
      { waves: [{ name: 'a', scope: { kind: 'one-unit' }, gate: { failures: { p0: 0.5 } } }, rest] },
      '/waves/0/gate/failures p0 must be less than p1',
    ],
    ['something unknown', { surprise: 1 }, '/surprise is not a known member'],
  ])('refuses %s', (_what, change, words) => {
    const { artifact, selection, ...more } = change as Record<string, object>;
    const input = {
      ...least,
      ...more,
      artifact: { ...least.artifact, ...artifact },
      selection: { ...least.selection, ...selection },
    };
    const [first, ...others] = wrongWith(input);
    expect(first).toContain(words);
    expect(others).toEqual([]);
  });

  test('firmware and operating systems are for the classes or models that they were made for', () => {
    const of = (kind: string, selection: object) =>
      wrongWith({ ...least, artifact: { ...least.artifact, kind }, selection });
    for (const kind of ['firmware', 'os']) {
      expect(of(kind, {})).toEqual([expect.stringContaining('/selection must name classes or models')]);
      expect(of(kind, { models: ['Infuse LV-8'] })).toEqual([]);
    }
    expect(of('agent', {})).toEqual([]);
  });

  test('one that would not fit into its item is refused with the way out', () => {
    const unitIds = Array.from({ length: 190 }, (_, index) => unit(index));
    const waves = Array.from({ length: 19 }, (_, index) => ({ name: `w-${index}`, scope: { kind: 'units', unitIds } }));
    expect(wrongWith({ ...least, waves: [...waves, rest] })).toEqual([expect.stringContaining('select sites instead')]);
  });

  test('has a JSON Schema for the API documents', () => {
    const schema = toJsonSchema(RolloutInput, { typeMode: 'input', errorMode: 'ignore', target: 'draft-2020-12' });
    expect(schema.required).toEqual(['name', 'artifact', 'selection', 'wayBack']);
    expect(v.is(RolloutInput, least)).toBe(true);
  });
});
