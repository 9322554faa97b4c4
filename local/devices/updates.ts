import { AGENT_VERSION } from '../../agent/report/inventory.ts';
import { Platform } from '../../shared/devices/device.ts';
import type { DeviceProfile } from './profile.ts';
import type { DeviceMemory } from './state.ts';

/** What a command of a rollout is about. */
export interface Update {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** To what ran before. */
  readonly back: boolean;
}

/** The update that a command names. */
export function updateOf({ parameters }: { readonly parameters: Readonly<Record<string, unknown>> }): Update {
  const text = (name: string) => String(parameters[name] ?? '');
  return {
    kind: text('kind'),
    name: text('name'),
    version: text('version'),
    sha256: text('sha256'),
    back: parameters['back'] === true,
  };
}

/** What is replaced: of apps and policies there are many, of the rest one. */
const thingOf = ({ kind, name }: Update): string => (kind === 'app' || kind === 'policy' ? `${kind} ${name}` : kind);

/** The firmware of a medical device is its operating system. */
const isSystem = ({ kind }: Update, { platform }: DeviceProfile): boolean =>
  kind === 'os' || (kind === 'firmware' && platform === Platform.Iomt);

const current = (memory: DeviceMemory, profile: DeviceProfile, update: Update): string | undefined =>
  isSystem(update, profile) ? (memory.osVersion ?? profile.os.version) : memory.installed?.[thingOf(update)];

/** Whether there is nothing left to do. */
export function isActive(memory: DeviceMemory, profile: DeviceProfile, update: Update): boolean {
  return (current(memory, profile, update) === update.version) !== update.back;
}

const stagedAs = (update: Update): string => `${thingOf(update)} ${update.version}`;

/** Whether what is asked for lies on the device. */
export function isStaged({ staged: there, before }: DeviceMemory, update: Update): boolean {
  return update.back ? before?.[thingOf(update)] !== undefined : there?.[stagedAs(update)] === update.sha256;
}

/** What the device remembers once it has fetched the update. */
export const staged = (memory: DeviceMemory, update: Update): Partial<DeviceMemory> => ({
  staged: { ...memory.staged, [stagedAs(update)]: update.sha256 },
});

/** What the device remembers once it runs the update, or what ran before it. */
export function activated(memory: DeviceMemory, profile: DeviceProfile, update: Update): Partial<DeviceMemory> {
  const thing = thingOf(update);
  const next = update.back ? (memory.before?.[thing] ?? undefined) : update.version;
  const { [stagedAs(update)]: _used, ...left } = memory.staged ?? {};
  const { [thing]: replaced, ...others } = memory.installed ?? {};
  const { [thing]: _gone, ...earlier } = memory.before ?? {};
  const system = isSystem(update, profile);
  const ran = system ? memory.osVersion : replaced;
  return {
    staged: left,
    before: update.back ? earlier : { ...earlier, [thing]: ran ?? null },
    ...(system
      ? { osVersion: next ?? profile.os.version }
      : { installed: next === undefined ? others : { ...others, [thing]: next } }),
  };
}

/** What the inventory says of updates, besides the operating system. */
export function reported({ installed = {} }: DeviceMemory): Readonly<Record<string, unknown>> {
  const listed = (kind: string) =>
    Object.entries(installed)
      .filter(([thing]) => thing.startsWith(`${kind} `))
      .map(([thing, version]) => ({ name: thing.slice(kind.length + 1), version }));
  const [apps, policies] = [listed('app'), listed('policy')];
  return {
    agent: { name: 'wardline-agent', version: installed['agent'] ?? AGENT_VERSION },
    ...(installed['firmware'] === undefined ? {} : { firmwareVersion: installed['firmware'] }),
    ...(apps.length === 0 ? {} : { apps }),
    ...(policies.length === 0 ? {} : { policies }),
  };
}
