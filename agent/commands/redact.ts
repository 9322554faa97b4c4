/** A text without what must not leave the machine, and how much of it there was. */
export interface Redacted {
  readonly text: string;
  readonly count: number;
}

const MARK = '[redacted]';

/** What is taken out, each with what is kept of it. Expressions are linear in the length of the text. */
const SECRETS: readonly { readonly pattern: RegExp; readonly kept: string }[] = [
  {
    pattern: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g,
    kept: MARK,
  },
  {
    pattern: /\b(authorization|proxy-authorization|cookie|set-cookie)(["']?\s*[:=]\s*)[^\r\n]+/gi,
    kept: `$1$2${MARK}`,
  },
  { pattern: /\b(bearer|basic)\s+[A-Za-z0-9+/_.~=-]{8,}/gi, kept: `$1 ${MARK}` },
  {
    pattern:
      /\b([\w-]{0,40}(?:password|passwd|passphrase|passcode|pwd|secret|token|(?:api|access|private|account)[_-]?key|psk|credentials?|session[_-]?id))(["']?\s*[:=]\s*)("[^"\r\n]*"|'[^'\r\n]*'|[^\s,;&]+)/gi,
    kept: `$1$2${MARK}`,
  },
  // As programs are called, which logs of sudo and cron repeat.
  {
    pattern:
      /(--[\w-]{0,40}(?:password|passwd|passphrase|secret|token|api-?key))(\s+)("[^"\r\n]*"|'[^'\r\n]*'|[^\s"']+)/gi,
    kept: `$1$2${MARK}`,
  },
  { pattern: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, kept: MARK },
  // Segments of HL7 v2 about a patient, their family, their insurance and their visit; the field separator is |.
  { pattern: /\b(PID|PD1|NK1|GT1|IN[123]|PV[12])\|[^\r\n]*/g, kept: `$1|${MARK}` },
  // Names have blanks in them: up to the end of the field.
  {
    pattern:
      /\b([\w-]{0,40}(?:patient|mrn|dob|birth[_-]?date)[\w-]{0,40})(["']?\s*[:=]\s*)("[^"\r\n]*"|'[^'\r\n]*'|[^\r\n,;&|"'{}]+)/gi,
    kept: `$1$2${MARK}`,
  },
  { pattern: /\bwle_[A-Za-z0-9_-]{10,}/g, kept: MARK },
  { pattern: /\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*/g, kept: MARK },
  { pattern: /\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@:]{1,200}:[^\s/@]{1,200}@/gi, kept: `$1${MARK}@` },
  { pattern: /\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}\b/g, kept: MARK },
  { pattern: /\b\d{3}-\d{2}-\d{4}\b/g, kept: MARK },
  { pattern: /\b(name)(["']?\s*[:=]\s*)("[^"\r\n]*"|'[^'\r\n]*'|[^\s,;&|]+)/gi, kept: `$1$2${MARK}` },
];

/**
 * Takes out of a log what looks like a secret (keys, tokens, passwords, cookies) or like a person (e-mail addresses,
 * US social security numbers, fields and HL7 segments about a patient). It errs on the side of taking out too much; it cannot
 * recognize a name in running text, which is why collected logs stay on the machine.
 */
export function redact(text: string): Redacted {
  let count = 0;
  let result = text;
  for (const { pattern, kept } of SECRETS) {
    result = result.replace(pattern, (...found: unknown[]) => {
      const whole = String(found[0]);
      const clean = kept.replace(/\$(\d)/g, (_, group: string) => String(found[Number(group)] ?? ''));
      if (clean !== whole) count += 1;
      return clean;
    });
  }
  return { text: result, count };
}
