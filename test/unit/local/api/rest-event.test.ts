import { restAnswer } from '../../../../local/api/rest-event.ts';

test('a proxy response: multiValueHeaders replace a header of the same name', () => {
  const answer = restAnswer(
    { statusCode: 200, headers: { 'X-A': '1', 'X-B': '2' }, multiValueHeaders: { 'x-a': ['3', '4'] }, body: 'hi' },
    undefined,
    [],
  );

  expect(answer?.headers).toEqual([
    ['X-B', '2'],
    ['x-a', '3'],
    ['x-a', '4'],
    ['Content-Type', 'application/json'],
  ]);
});

test('base64 is decoded only for clients that accept a binary media type of the API', () => {
  const result = { statusCode: 200, body: 'aGk=', isBase64Encoded: true };

  expect(restAnswer(result, 'application/zip, */*', ['application/zip'])?.body.toString()).toBe('hi');
  expect(restAnswer(result, 'text/html', ['application/zip'])?.body.toString()).toBe('aGk=');
});

test.each([null, 'text', [], { statusCode: 200, body: 7 }, { statusCode: 1 }, { statusCode: 200, cookies: [] }])(
  '%j is not a proxy response',
  (result) => {
    expect(restAnswer(result, undefined, [])).toBeUndefined();
  },
);
