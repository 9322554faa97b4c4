import fc from 'fast-check';
import { redact } from '../../../../agent/commands/redact.ts';

test.each([
  ['Authorization: Bearer abc.def.ghi', 'abc'],
  ['sent header "authorization": "Basic dXNlcjpwYXNz"', 'dXNlcjpwYXNz'],
  ['login password=hunter2 ok', 'hunter2'],
  ["db_password: 's3cr et'", 's3cr et'],
  ['wpa psk="correct horse"', 'correct horse'],
  ['api_key=AKIA123, next', 'AKIA123'],
  ['enrolled with wle_abcdefghijklmnopqrstuvwxyz', 'wle_abc'],
  ['jwt eyJhbGciOi.eyJzdWIiOi.c2ln', 'eyJzdWIiOi'],
  ['GET https://user:pass@host/x', 'pass'],
  ['mail from jane.doe@example.org', 'jane.doe'],
  ['ssn 123-45-6789', '123-45-6789'],
  ['patient=Doe^John mrn: 4711', 'Doe'],
  ['patient=John Doe, bed 4', 'Doe'],
  ['{"patientName": "Jane Roe", "ward": "5B"}', 'Roe'],
  ['patient_id=4711 admitted', '4711'],
  ['date_of_birth=x birthDate: 1950-01-02', '1950-01-02'],
  ['received PID|1||4711^^^MRN||DOE^JOHN||19500102|M', 'DOE^JOHN'],
  ['COMMAND=/usr/bin/mysql -u root --password hunter2 -e x', 'hunter2'],
  ['aws_secret_access_key = wJalrXUtnFEMI/K7MDENG', 'wJalr'],
  ['using key AKIAIOSFODNN7EXAMPLE now', 'AKIAIOSFODNN7EXAMPLE'],
  ['-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----', 'MHcC'],
  ['-----BEGIN PRIVATE KEY-----\nMHcC cut off', 'MHcC'],
])('takes the secret out of %j', (text, secret) => {
  const { text: clean, count } = redact(text);
  expect(clean).not.toContain(secret);
  expect(clean).toContain('[redacted]');
  expect(count).toBeGreaterThan(0);
});

test('leaves an ordinary log alone', () => {
  const text = '2026-01-01T00:00:00 host kernel: eth0: link up 1000 Mbit/s\nsystemd[1]: Started cron.service.\n';
  expect(redact(text)).toEqual({ text, count: 0 });
});

test('doing it twice changes nothing more, and no token gets through', () => {
  const part = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(' password=', 'Bearer ', '-----BEGIN PRIVATE KEY-----', 'https://a:', '@', 'name: '),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), fc.stringMatching(/^[A-Za-z0-9_-]{43}$/), (parts, secret) => {
      const once = redact(`${parts.join('')} wle_${secret} ${parts.join('')}`).text;
      expect(once).not.toContain(`wle_${secret}`);
      expect(redact(once).text).toBe(once);
    }),
  );
});

test('a long hostile line takes no long time', () => {
  const started = performance.now();
  for (const text of [
    'a@'.repeat(50_000),
    'password'.repeat(20_000),
    'x://'.repeat(30_000),
    '-----BEGIN '.repeat(10_000),
    'eyJaaaaa.'.repeat(20_000),
    'patient'.repeat(20_000),
    'PID|'.repeat(30_000),
    '--password'.repeat(15_000),
  ])
    redact(text);
  expect(performance.now() - started).toBeLessThan(5_000);
});
