import fc from 'fast-check';
import { schemaOf } from '../../../../shared/api/components.ts';
import { operations } from '../../../../shared/api/operations.ts';
import { readJson } from '../../../../shared/http/body.ts';
import type { OperationSpec } from '../../../../shared/http/operation.ts';
import { ProblemError } from '../../../../shared/http/problem.ts';
import { validate } from '../../../../shared/http/validate.ts';
import { defaultLimits } from '../../../../shared/limits/limits.ts';
import { type JsonSchema, nearly, spoilt } from '../../../support/hostile.ts';

const withBody = Object.entries(operations).flatMap(([name, { body }]) => (body === undefined ? [] : [{ name, body }]));

/** Whether a body is accepted; what is neither accepted nor refused with a problem fails the test. */
function accepted(body: NonNullable<OperationSpec['body']>, text: string): boolean {
  try {
    const value = validate(body, readJson({ body: text }));
    // What is accepted can be stored: DynamoDB holds numbers from 1e-130 to below 1e126, and no infinity.
    for (const number of numbersIn(value)) {
      expect(number === 0 || (Math.abs(number) >= 1e-130 && Math.abs(number) < 1e126)).toBe(true);
    }
    return true;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    expect(error.problem.status).toBe(error.problem.type === '/problems/too-large' ? 413 : 400);
    return false;
  }
}

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

test.each(withBody)('$name: whatever is sent is accepted or refused with a problem', ({ body }) => {
  const bodies = nearly(schemaOf(body, 'input') as JsonSchema, () => ['s-1', 'd-000000000000000000000000']);
  fc.assert(
    fc.property(bodies, (text) => void accepted(body, text)),
    { numRuns: 100 },
  );
});

const window = { days: ['mon', 'tue'], from: '22:00', to: '04:00' };
const hours = { maintenanceWindows: [window], blackouts: [{ name: 'Shift', ...window }] };
const examples: { readonly name: keyof typeof operations; readonly example: object }[] = [
  {
    name: 'createSite',
    example: {
      name: 'North',
      timeZone: 'America/Chicago',
      ...hours,
      freezes: [{ name: 'Go-live', from: '2027-11-24T18:00', to: '2027-11-29T06:00' }],
    },
  },
  { name: 'createUnit', example: { name: 'ICU', acuityTier: 'T0', ...hours, spares: { ventilator: 2 } } },
  { name: 'updateLimits', example: defaultLimits },
  {
    name: 'createRollout',
    example: {
      name: 'Pumps to 9.5.0',
      artifact: {
        kind: 'firmware',
        name: 'Infuse',
        version: '9.5.0',
        sha256: 'ab'.repeat(32),
        signature: 'c2lnbmVk',
        url: 'https://updates.example/9.5.0',
      },
      selection: { classes: ['infusion-pump'], versions: { from: '9', below: '9.5' }, tags: ['platform:iomt'] },
      waves: [
        {
          name: 'A tenth',
          scope: { kind: 'share-of-sites', percent: 10 },
          bakeHours: 24,
          gate: { controlAlpha: 0.01 },
        },
        { name: 'The rest', scope: { kind: 'rest' }, gate: { failures: { p0: 0.01, p1: 0.05 } } },
      ],
      soakHours: 24,
      wayBack: 'The second slot.',
    },
  },
];

test.each(examples)(
  '$name: something hostile in one place of a good body is accepted or refused with a problem',
  ({ name, example }) => {
    const { body } = operations[name];
    if (body === undefined) throw new Error(`${name} takes no body`);
    expect(accepted(body, JSON.stringify(example))).toBe(true);
    fc.assert(
      fc.property(spoilt(example), (text) => void accepted(body, text)),
      { numRuns: 1_000 },
    );
  },
);
