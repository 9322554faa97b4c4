/** Compiles IAM's wildcards: `*` stands for any text, `?` for one character. */
export function wildcard(pattern: string, flags = ''): RegExp {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, `s${flags}`);
}

/**
 * Compiles an ARN pattern as `ArnLike` compares it: each of the six fields is matched on its own, so that a wildcard in
 * one of the first five cannot reach into the next.
 */
export function arnWildcard(pattern: string): RegExp {
  const fields = splitArn(pattern);
  // What is no ARN matches none, except the one pattern that matches all.
  if (fields.length < 6) return pattern === '*' ? /^/ : /$^/;
  const source = fields.map((field, index) => {
    const escaped = field.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
    const any = index < 5 ? '[^:]' : '.';
    return escaped.replaceAll('*', `${any}*`).replaceAll('?', any);
  });
  return new RegExp(`^${source.join(':')}$`, 's');
}

function splitArn(arn: string): string[] {
  const parts = arn.split(':');
  return parts.length < 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')];
}
