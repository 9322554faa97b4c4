/** What a line may have before its end comes, characters; a longer one is no line of a log. */
const LONGEST_LINE = 256 * 1024;

/**
 * Reads what a function prints, in pieces as they come, and tells of each line of level ERROR or FATAL in one sentence:
 * `check-in failed: ValidationException: ...`. Lines that are not JSON, and metrics, say nothing here.
 */
export function failureReader(tell: (sentence: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) rest = '';
    for (const line of lines) {
      if (!line.startsWith('{')) continue;
      const sentence = failureOf(line);
      if (sentence !== undefined) tell(sentence);
    }
  };
}

function failureOf(line: string): string | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return undefined;
  }
  const level = member(entry, 'level');
  if (level !== 'ERROR' && level !== 'FATAL' && level !== 'CRITICAL') return undefined;
  const error = member(entry, 'error');
  const parts = [
    member(entry, 'message'),
    member(entry, 'errorType') ?? (typeof error === 'string' ? error : member(error, 'name')),
    member(entry, 'errorMessage') ?? member(entry, 'reason') ?? member(error, 'message'),
  ];
  const words = parts.filter((part) => typeof part === 'string' && part !== '');
  // The id differs each time, and would make each failure look like another one.
  return words.join(': ').replace(/RequestId: \S+ /g, '');
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && name in value ? Reflect.get(value, name) : undefined;
}
