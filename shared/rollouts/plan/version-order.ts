/** `v2.10.1-3` as its parts: numbers, however long, and words of whatever script. */
function partsOf(version: string): (bigint | string)[] {
  const parts =
    version
      .trim()
      .toLowerCase()
      .replace(/^v(?=\d)/, '')
      .match(/\d+|[\p{L}\p{M}\p{N}]+?(?=\d|[^\p{L}\p{M}\p{N}]|$)/gu) ?? [];
  return parts.map((part) => (/^\d/.test(part) ? BigInt(part) : part));
}

/**
 * Which of two version numbers is the later: negative when `a` is the earlier, 0 when they are the same, positive when
 * `a` is the later. Undefined when it cannot be told: vendors write what they like (`9.x`, `4.1b`, `4.1 rc`), and a guess
 * would put software on a device that the vendor did not validate it for.
 */
export function compareVersions(a: string, b: string): number | undefined {
  const [left, right] = [partsOf(a), partsOf(b)];
  if (left.length === 0 || right.length === 0) return undefined;
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    // 4.1 and 4.1.0 are the same.
    const [one, other] = [left[at] ?? 0n, right[at] ?? 0n];
    if (one === other) continue;
    if (typeof one !== 'bigint' || typeof other !== 'bigint') return undefined;
    return one < other ? -1 : 1;
  }
  return 0;
}
