import type { Artifact } from '../rollout.ts';

/** What names a thing that can be installed. */
export type Installable = Pick<Artifact, 'kind' | 'name'>;

/**
 * Which version of a thing a device has, as its inventory says; undefined when it does not say, or says `unknown`. Never
 * guessed: a device that says nothing is not updated, and an update that it does not report is not verified.
 *
 * | kind | where |
 * |---|---|
 * | os | `os.version` |
 * | firmware | `firmwareVersion`; without one `os.version`, since the firmware of a medical device is all that it runs |
 * | agent | `agent.version` |
 * | app | `apps`: list of `{name, version}` |
 * | policy | `policies`: list of `{name, version}` |
 */
export function installedVersion(
  inventory: Readonly<Record<string, unknown>> | undefined,
  { kind, name }: Installable,
): string | undefined {
  const facts = inventory ?? {};
  switch (kind) {
    case 'os':
      return versionIn(facts['os']);
    case 'firmware':
      return facts['firmwareVersion'] === undefined ? versionIn(facts['os']) : known(facts['firmwareVersion']);
    case 'agent':
      return versionIn(facts['agent']);
    case 'app':
      return versionIn(named(facts['apps'], name));
    case 'policy':
      return versionIn(named(facts['policies'], name));
  }
}

const versionIn = (thing: unknown): string | undefined => known(member(thing, 'version'));

/** Longer than any version; what is longer is none, and must not fill the items that a version is noted in. */
const longestVersion = 200;

const known = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value !== 'unknown' && value.length <= longestVersion
    ? value
    : undefined;

const named = (list: unknown, name: string): unknown =>
  Array.isArray(list) ? list.find((thing: unknown) => member(thing, 'name') === name) : undefined;

const member = (thing: unknown, name: string): unknown =>
  typeof thing === 'object' && thing !== null && Object.hasOwn(thing, name) ? Reflect.get(thing, name) : undefined;
