import { commonLogTime, httpApiAnswer, isTextType } from '../../../../local/api/http-event.ts';

test.each([
  ['application/json', true],
  ['application/json; charset=utf-8', true],
  ['text/csv', true],
  ['application/xml', true],
  ['application/pkcs10', false],
  ['application/x-www-form-urlencoded', false],
  ['application/octet-stream', false],
  [undefined, false],
])('%s is text: %s', (type, expected) => {
  expect(isTextType(type)).toBe(expected);
});

test('a value that is not a response object is a JSON body', () => {
  expect(httpApiAnswer({ ok: true })).toMatchObject({ status: 200, body: Buffer.from('{"ok":true}') });
});

test('headers, cookies and a base64 body of a response object', () => {
  const answer = httpApiAnswer({
    statusCode: 201,
    headers: { 'Content-Type': 'application/pkcs7-mime', Etag: 1 },
    cookies: ['a=1', 'b=2'],
    body: Buffer.from('der').toString('base64'),
    isBase64Encoded: true,
  });

  expect(answer).toEqual({
    status: 201,
    headers: [
      ['content-type', 'application/pkcs7-mime'],
      ['etag', '1'],
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
    body: Buffer.from('der'),
  });
});

test.each([{ statusCode: 'ok' }, { statusCode: 99 }, { statusCode: 200, body: { not: 'text' } }])(
  '%j is an error of the function',
  (result) => {
    expect(httpApiAnswer(result).status).toBe(500);
  },
);

test('the time of a request as access logs have it', () => {
  expect(commonLogTime(Date.UTC(2026, 3, 9, 12, 34, 56))).toBe('09/Apr/2026:12:34:56 +0000');
});
