import * as v from 'valibot';
import { ProblemError } from '../../../../shared/http/problem.ts';
import { validate } from '../../../../shared/http/validate.ts';

const Schema = v.strictObject({
  name: v.pipe(v.string(), v.minLength(1, 'must not be empty')),
  'a/b~c': v.optional(v.number()),
  tier: v.optional(v.picklist(['T0', 'T1'])),
});

const errorsOf = (value: unknown, place: 'body' | 'query' = 'body'): unknown => {
  try {
    validate(Schema, value, place);
    return [];
  } catch (error) {
    return (error as ProblemError).problem['errors'];
  }
};

describe('validate', () => {
  test('addresses each error by JSON Pointer', () => {
    expect(errorsOf({ name: '', 'a/b~c': 'x', tier: 'T9', more: 1 })).toEqual([
      { pointer: '/name', detail: 'must not be empty' },
      { pointer: '/a~1b~0c', detail: 'must be number' },
      { pointer: '/tier', detail: 'must be ("T0" | "T1")' },
      { pointer: '/more', detail: 'is not a known member' },
    ]);
    expect(errorsOf({})).toEqual([{ pointer: '/name', detail: 'is required' }]);
    expect(errorsOf(5)).toEqual([{ pointer: '', detail: 'must be Object' }]);
  });

  test('addresses query parameters by name', () => {
    expect(errorsOf({ name: 'x', typo: '1' }, 'query')).toEqual([
      { pointer: 'query/typo', detail: 'is not a known member' },
    ]);
  });

  test('says the same of one place once, and names the first twenty places of any number', () => {
    const never = () => v.check<string, string>(() => false, 'must be a time');
    const Times = v.array(v.pipe(v.string(), never(), never()));
    let problem: ProblemError['problem'] | undefined;
    try {
      validate(Times, Array(50_000).fill('x'));
    } catch (error) {
      problem = (error as ProblemError).problem;
    }
    expect(problem?.detail).toBe('50000 values are not valid. /0 must be a time.');
    expect(problem?.['errors']).toHaveLength(20);
  });

  test('never repeats what was sent', () => {
    expect(JSON.stringify(errorsOf({ name: 7, tier: 'Jane Doe', 'a/b~c': 'Jane Doe' }))).not.toContain('Jane');
  });

  test('is a 400', () => {
    expect(() => validate(Schema, {})).toThrow(ProblemError);
  });
});
