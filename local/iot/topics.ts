/** Longest topic or topic filter that AWS IoT Core takes, in UTF-8 bytes. */
export const MAX_TOPIC_BYTES = 256;
/** Most forward slashes in a topic or topic filter. */
export const MAX_TOPIC_SLASHES = 7;
/** Largest message that AWS IoT Core takes, in bytes. */
export const MAX_PAYLOAD_BYTES = 128 * 1024;

const BASIC_INGEST = '$aws/rules/';

/**
 * Whether a topic filter with `+` and `#` matches a topic (MQTT 3.1.1, section 4.7): a filter that begins with a
 * wildcard never matches a topic that begins with `$`, and `a/#` matches `a` itself.
 */
export function topicMatches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (const [index, want] of wanted.entries()) {
    if (want === '#') return true;
    if (index >= levels.length) return false;
    if (want !== '+' && want !== levels[index]) return false;
  }
  return wanted.length === levels.length;
}

/** Whether the text has an MQTT wildcard, so that it is a filter and no topic. */
export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

/** Why nobody may publish to this topic, or undefined. Basic Ingest topics are measured without their prefix. */
export function topicProblem(topic: string): string | undefined {
  if (topic === '') return 'The topic is empty';
  if (hasWildcard(topic)) return `A topic cannot hold a wildcard: ${topic}`;
  if (topic.includes('\0')) return 'A topic cannot hold the null character';
  if (topic.startsWith('$') && !topic.startsWith('$aws/')) return `Reserved topic: ${topic}`;
  return sizeProblem(basicIngest(topic)?.topic ?? topic);
}

/** Why nobody may subscribe to this topic filter, or undefined. */
export function filterProblem(filter: string): string | undefined {
  if (filter === '') return 'The topic filter is empty';
  if (filter.includes('\0')) return 'A topic filter cannot hold the null character';
  if (filter.startsWith('$share/')) return 'Shared subscriptions need MQTT 5, which this broker does not speak';
  if (filter.startsWith(BASIC_INGEST)) return 'Basic Ingest topics cannot be subscribed to';
  if (filter.startsWith('$') && !filter.startsWith('$aws/')) return `Reserved topic: ${filter}`;
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1))
      return `# stands alone and last: ${filter}`;
    if (level.includes('+') && level !== '+') return `+ stands alone between slashes: ${filter}`;
  }
  return sizeProblem(filter);
}

/** What a Basic Ingest topic `$aws/rules/<rule>/<topic>` holds; undefined for any other topic. */
export function basicIngest(topic: string): { rule: string; topic: string } | undefined {
  if (!topic.startsWith(BASIC_INGEST)) return undefined;
  const rest = topic.slice(BASIC_INGEST.length);
  const slash = rest.indexOf('/');
  return slash < 0 ? { rule: rest, topic: '' } : { rule: rest.slice(0, slash), topic: rest.slice(slash + 1) };
}

function sizeProblem(topic: string): string | undefined {
  if (Buffer.byteLength(topic) > MAX_TOPIC_BYTES) return `A topic has at most ${MAX_TOPIC_BYTES} bytes`;
  let slashes = 0;
  for (const character of topic) if (character === '/') slashes += 1;
  if (slashes > MAX_TOPIC_SLASHES) return `A topic has at most ${MAX_TOPIC_SLASHES} forward slashes`;
  return undefined;
}
