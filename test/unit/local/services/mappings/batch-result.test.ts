import fc from 'fast-check';
import type { Json } from '../../../../../local/cloud.ts';
import { batchResult } from '../../../../../local/services/mappings/batch-result.ts';

const ids = ['1', '2', '3'];
const failures = (...identifiers: Json[]): Json => ({
  batchItemFailures: identifiers.map((itemIdentifier) => ({ itemIdentifier })),
});

describe('the answer to a batch', () => {
  test.each<[string, Json, unknown]>([
    ['nothing', null, 'all-processed'],
    ['an empty list', failures(), 'all-processed'],
    ['an object without a list', {}, 'all-processed'],
    ['a null list', { batchItemFailures: null }, 'all-processed'],
    ['one identifier', failures('2'), new Set(['2'])],
    ['an unknown identifier', failures('2', '9'), 'none-processed'],
    ['an empty identifier', failures(''), 'none-processed'],
    ['a null identifier', failures(null), 'none-processed'],
    ['no object', 'done', 'none-processed'],
    ['a list that is none', { batchItemFailures: 'x' }, 'none-processed'],
  ])('%s', (_name, payload, expected) => {
    expect(batchResult({ payload }, true, ids)).toEqual(expected);
  });

  test('an error of the function fails the batch, whatever it says', () => {
    expect(batchResult({ payload: failures(), functionError: 'Unhandled' }, true, ids)).toBe('none-processed');
  });

  test('without ReportBatchItemFailures the answer does not matter', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (payload) =>
        expect(batchResult({ payload: payload as Json }, false, ids)).toBe('all-processed'),
      ),
    );
  });

  test('any answer is understood as all, none, or some of the batch', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (payload) => {
        const result = batchResult({ payload: { batchItemFailures: payload } as Json }, true, ids);
        if (typeof result !== 'string') for (const id of result) expect(ids).toContain(id);
      }),
    );
  });
});
