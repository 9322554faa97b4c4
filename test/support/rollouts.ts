import type { Objects } from '../../shared/aws/s3-objects.ts';
import { DeviceClass } from '../../shared/devices/device.ts';
import type { StoredExecution } from '../../shared/rollouts/executions/execution-store.ts';
import { defaultWaves } from '../../shared/rollouts/gate/wave-definition.ts';
import { draftRollout, type RolloutDefinition } from '../../shared/rollouts/rollout.ts';
import type { StoredRollout } from '../../shared/rollouts/rollout-store.ts';

/** When tests of rollouts begin. */
export const rolloutBegin = Date.parse('2027-03-02T20:00:00.000Z');

const sha256 = 'a'.repeat(64);

/** An execution of rollout `ro-1` that was told to download, with these changes. */
export const storedExecution = (deviceId: string, more: Partial<StoredExecution> = {}): StoredExecution => ({
  rolloutId: 'ro-1',
  deviceId,
  siteId: 's-1',
  unitId: 'u-1',
  class: DeviceClass.InfusionPump,
  artifactKind: 'firmware',
  sha256,
  wave: 0,
  direction: 'forward',
  status: { state: 'queued' },
  dispatchedAt: new Date(rolloutBegin).toISOString(),
  since: new Date(rolloutBegin).toISOString(),
  outOfService: false,
  version: 1,
  rank: 0,
  stratum: 'B/T2',
  artifact: { name: 'Infuse LV-8', version: '9.5.0' },
  ...more,
});

/** A definition that may be planned and approved, with these changes. */
export const rolloutDefinition = (more: Partial<RolloutDefinition> = {}): RolloutDefinition => ({
  name: 'Infuse 9.5.0',
  artifact: { kind: 'firmware', name: 'Infuse LV-8', version: '9.5.0', sha256, signature: 'c2lnbmVk' },
  selection: { classes: [DeviceClass.InfusionPump] },
  waves: defaultWaves([]),
  order: 'pilot-first',
  onStop: 'pause',
  wayBack: 'The earlier version stays on the device; its menu brings it back.',
  soakHours: 24,
  ...more,
});

/** A draft of this id. */
export const storedRollout = (id: string, definition = rolloutDefinition(), at = rolloutBegin): StoredRollout => ({
  ...draftRollout(id, definition, 'user:ada', at),
  createdAt: new Date(at).toISOString(),
});

/** A bucket in memory. */
export function memoryObjects(): Objects & { readonly contents: Map<string, string> } {
  const contents = new Map<string, string>();
  return {
    contents,
    put: async (key, content) => {
      contents.set(key, content);
    },
    read: async (key) => contents.get(key),
  };
}
