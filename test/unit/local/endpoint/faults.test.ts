import { FaultPlan, parseFaultPlan } from '../../../../local/endpoint/faults.ts';

function plan(...rules: Parameters<FaultPlan['set']>[0]): FaultPlan {
  const faults = new FaultPlan();
  faults.set(rules);
  return faults;
}

test('a rule hits its service, operation and function, and no other', () => {
  const faults = plan({ service: 'dynamodb', operation: 'Put*', function: '*checkin*', error: 'ThrottlingException' });

  expect(faults.strike('dynamodb', 'PutItem', 'wardline-device-checkin')).toEqual({
    error: 'ThrottlingException',
    status: 400,
    when: 'before',
  });
  expect(faults.strike('dynamodb', 'Query', 'wardline-device-checkin')).toBeUndefined();
  expect(faults.strike('sqs', 'PutItem', 'wardline-device-checkin')).toBeUndefined();
  expect(faults.strike('dynamodb', 'PutItem', 'wardline-authorize')).toBeUndefined();
  expect(faults.strike('dynamodb', 'PutItem', undefined)).toBeUndefined();
});

test('times ends a rule, and the next one has its turn', () => {
  const faults = plan(
    { service: '*', error: 'First', times: 2 },
    { service: '*', error: 'Second', status: 503, when: 'after' },
  );

  const errors = [1, 2, 3].map(() => faults.strike('sqs', 'SendMessage', 'f')?.error);

  expect(errors).toEqual(['First', 'First', 'Second']);
  expect(faults.rules.map((rule) => rule.hits)).toEqual([2, 1]);
});

test('rate is kept, and the same seed hits the same calls', () => {
  const hits = (seed: number) => {
    const faults = plan({ service: '*', error: 'x', rate: 0.2, seed });
    return Array.from({ length: 5000 }, () => faults.strike('s', 'o', 'f') !== undefined);
  };

  const first = hits(7);
  expect(first.filter(Boolean).length / 5000).toBeCloseTo(0.2, 1);
  expect(hits(7)).toEqual(first);
  expect(hits(8)).not.toEqual(first);
});

test('a plan in a file: what is wrong is named', () => {
  expect(
    parseFaultPlan('[{"service":"dynamodb","error":"kill","when":"after","rate":0.5,"times":3,"seed":1}]'),
  ).toHaveLength(1);
  expect(() => parseFaultPlan('{}')).toThrow('a JSON list');
  expect(() => parseFaultPlan('[{"service":"x"}]')).toThrow('rule 1 of the fault plan needs service and error');
  expect(() => parseFaultPlan('[{"service":"x","error":"e","rate":1.5}]')).toThrow(
    'rule 1 of the fault plan: rate cannot be 1.5',
  );
  expect(() => parseFaultPlan('[{"service":"x","error":"e","often":1}]')).toThrow('often is not a field');
});
