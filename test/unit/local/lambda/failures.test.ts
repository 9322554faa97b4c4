import { failureReader } from '../../../../local/lambda/failures.ts';

function read(...chunks: string[]): string[] {
  const told: string[] = [];
  const reader = failureReader((sentence) => told.push(sentence));
  for (const chunk of chunks) reader(chunk);
  return told;
}

test.each([
  [
    { level: 'ERROR', message: 'check-in failed', error: 'ValidationException', reason: 'no such index' },
    'check-in failed: ValidationException: no such index',
  ],
  [
    { level: 'ERROR', message: 'failed', error: { name: 'TypeError', message: 'x is undefined' } },
    'failed: TypeError: x is undefined',
  ],
  [
    {
      level: 'ERROR',
      message: 'Invoke Error',
      errorType: 'Sandbox.Timedout',
      errorMessage: 'RequestId: 4711-abc Error: Task timed out after 10.00 seconds',
    },
    'Invoke Error: Sandbox.Timedout: Error: Task timed out after 10.00 seconds',
  ],
  [{ level: 'FATAL', message: 'gone' }, 'gone'],
])('%j', (entry, sentence) => {
  expect(read(`${JSON.stringify(entry)}\n`)).toEqual([sentence]);
});

test('lines come in pieces, several at once, and mixed with what is no failure', () => {
  const [one, two] = [
    { level: 'ERROR', message: 'one' },
    { level: 'ERROR', message: 'two' },
  ].map((entry) => JSON.stringify(entry));
  const text = `plain text\n{"level":"WARN","message":"refused"}\n${one}\n{"_aws":{}}\n{broken\n[1]\n${two}\n`;

  expect(read(...text)).toEqual(['one', 'two']);
  expect(read(text)).toEqual(['one', 'two']);
});

test('an endless line is dropped, and what follows is read', () => {
  const piece = 'x'.repeat(100_000);
  expect(read(piece, piece, piece, piece, '\n{"level":"ERROR","message":"after"}\n')).toEqual(['after']);
});
