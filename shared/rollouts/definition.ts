import * as v from 'valibot';
import { DeviceClass } from '../devices/device.ts';
import { SiteId, UnitId } from '../places/place.ts';
import { defaultGate } from './gate/gate.ts';
import type { TestSettings } from './gate/sprt.ts';
import { defaultWaves, problemsOf } from './gate/wave-definition.ts';
import { RolloutOrder } from './plan/order.ts';

const text = (most: number, description: string) =>
  v.pipe(
    v.string(),
    v.trim(),
    v.minLength(1, 'must not be empty'),
    v.maxLength(most, `must have at most ${most} characters`),
    v.description(description),
  );

/** A filter that names nobody is a mistake: left out, it is no filter. */
const someOf = <Entry extends v.GenericSchema<string, string>>(entry: Entry, most: number, description: string) =>
  v.exactOptional(
    v.pipe(
      v.array(entry),
      v.minLength(1, 'must name at least one; leave it out to select all'),
      v.maxLength(most, `must name at most ${most}`),
      v.check((list) => new Set(list).size === list.length, 'must name none twice'),
      v.description(description),
    ),
  );

const sha256 = v.pipe(
  v.string(),
  v.regex(/^[0-9a-fA-F]{64}$/, 'must be a SHA-256: 64 hexadecimal digits'),
  v.transform((hex) => hex.toLowerCase()),
  v.description('SHA-256 of the artifact, hexadecimal. Devices install nothing else'),
);

const signature = v.pipe(
  v.string(),
  v.base64('must be base64'),
  v.minLength(1, 'must not be empty'),
  v.maxLength(4_096, 'must have at most 4096 characters'),
  v.description("Detached signature of the artifact, base64. Devices verify it with their manufacturer's key"),
);

/** Where a device may fetch something without giving away a password or leaving encryption. No URL at all is told before. */
function isPlainHttps(address: string): boolean {
  if (!URL.canParse(address)) return true;
  const { protocol, username, password, hash } = new URL(address);
  return protocol === 'https:' && username === '' && password === '' && hash === '';
}

const url = v.pipe(
  v.string(),
  v.url('must be a URL'),
  v.maxLength(2_048, 'must have at most 2048 characters'),
  v.check(isPlainHttps, 'must be https, without a user name, a password or a fragment'),
  v.description("Where devices download it; omit if they know, for example from their manufacturer's service"),
);

/** What is brought to the devices. */
const ArtifactInput = v.strictObject({
  kind: v.pipe(
    v.picklist(['firmware', 'os', 'app', 'policy', 'agent']),
    v.description('A device takes part in at most one rollout of each kind at a time'),
  ),
  name: text(120, "For apps and policies, the name in the devices' inventory"),
  version: text(64, 'The version that devices report in their inventory once updated'),
  sha256,
  signature,
  url: v.exactOptional(url),
});

const VersionRange = v.pipe(
  v.strictObject({
    from: v.exactOptional(text(64, 'First version, inclusive')),
    below: v.exactOptional(text(64, 'Upper bound, exclusive')),
  }),
  v.check(({ from, below }) => from !== undefined || below !== undefined, 'must have from, below, or both'),
  v.description(
    'Versions that may be updated to the artifact. A device that does not report its version is ineligible',
  ),
);

const SelectionInput = v.pipe(
  v.strictObject({
    siteIds: someOf(SiteId, 500, 'Only devices at these sites'),
    unitIds: someOf(UnitId, 1_000, 'Only devices in these care units'),
    classes: someOf(v.picklist(Object.values(DeviceClass)), 20, 'Only devices of these classes'),
    models: someOf(text(120, 'As in the device record'), 100, 'Only devices of these models'),
    tags: someOf(
      text(80, 'For example platform:iomt'),
      20,
      'Only devices with all of these tags: `platform:…`, `ownership:…`, `compliance:…`',
    ),
    versions: v.exactOptional(VersionRange),
  }),
  v.description('Which devices to update; a device must match every filter given'),
);

const AdvisoryInput = v.strictObject({
  id: text(
    80,
    'Id assigned by the publisher: `ICSMA-27-045-01`, `CVE-2027-1234`, or the number of a field safety notice',
  ),
  models: someOf(text(120, 'As in the device record'), 100, 'Affected models; default all'),
  versions: v.exactOptional(
    v.pipe(
      v.strictObject({
        from: v.exactOptional(text(64, 'First version, inclusive')),
        below: v.exactOptional(text(64, 'Upper bound, exclusive')),
      }),
      v.check(({ from, below }) => from !== undefined || below !== undefined, 'must have from, below, or both'),
      v.description(
        'Affected versions of what is replaced; default all. A device that does not report its version counts as affected',
      ),
    ),
  ),
});

const share = (description: string) =>
  v.pipe(
    v.number(),
    v.minValue(1e-6, 'must be at least 0.000001'),
    v.ltValue(1, 'must be less than 1'),
    v.description(description),
  );

const testInput = ({ p0, p1, alpha, beta }: TestSettings, description: string) =>
  v.pipe(
    v.strictObject({
      p0: v.optional(share('Acceptable share of failures'), p0),
      p1: v.optional(share('Unacceptable share of failures'), p1),
      alpha: v.optional(share('Probability of stopping a good rollout'), alpha),
      beta: v.optional(share('Probability of promoting a bad rollout'), beta),
    }),
    v.check((test) => test.p0 < test.p1, 'p0 must be less than p1'),
    v.check((test) => test.alpha + test.beta < 1, 'alpha and beta must be less than 1 together'),
    v.description(description),
  );

const gate = defaultGate;
const GateInput = v.pipe(
  v.strictObject({
    failures: v.optional(testInput(gate.failures, 'Test for failures among the devices that reported'), {}),
    silence: v.optional(testInput(gate.silence, 'Test for silence: activated devices that did not report in time'), {}),
    controlAlpha: v.optional(
      share('Probability that the comparison with devices not yet updated finds harm where there is none'),
      gate.controlAlpha,
    ),
  }),
  v.description('How the wave is judged'),
);

const percent = v.pipe(v.number(), v.description('At least 0.01, less than 100'));
const ScopeInput = v.pipe(
  v.variant('kind', [
    v.strictObject({
      kind: v.literal('units'),
      unitIds: v.pipe(
        v.array(UnitId),
        v.maxLength(200, 'must name at most 200'),
        v.description('If empty, the wave is skipped'),
      ),
    }),
    v.strictObject({ kind: v.literal('one-unit') }),
    v.strictObject({
      kind: v.literal('sites'),
      siteIds: v.pipe(v.array(SiteId), v.maxLength(200, 'must name at most 200')),
    }),
    v.strictObject({ kind: v.literal('one-site') }),
    v.strictObject({ kind: v.literal('share-of-sites'), percent }),
    v.strictObject({ kind: v.literal('share-of-devices'), percent }),
    v.strictObject({ kind: v.literal('rest') }),
  ]),
  v.description('Which devices the wave takes, of those that no earlier wave took'),
);

const WaveInput = v.strictObject({
  name: text(60, 'Display name'),
  scope: ScopeInput,
  bakeHours: v.optional(
    v.pipe(v.number(), v.description('24 hours to 60 days; extended to include a change of shifts')),
    24,
  ),
  gate: v.optional(GateInput, {}),
});

const WavesInput = v.pipe(
  v.array(WaveInput),
  v.maxLength(20, 'must have at most 20 waves'),
  v.rawCheck(({ dataset, addIssue }) => {
    if (dataset.typed)
      for (const problem of problemsOf(dataset.value)) addIssue({ message: problem.replace(/\.$/, '') });
  }),
  v.description('Default: one unit, one site, a tenth of the sites, the rest, each with a bake of one day'),
);

/** Kinds that fit only what they were made for: on another device they break it. */
const madeForSome: readonly string[] = ['firmware', 'os'];

/** A definition lies in one item with what becomes of the rollout, which is read whenever a device is let in. */
const mostBytes = 80_000;

/** What a person says of a rollout; what is left out takes its default. */
export const RolloutInput = v.pipe(
  v.strictObject({
    name: text(120, 'Display name'),
    artifact: ArtifactInput,
    selection: SelectionInput,
    waves: v.optional(WavesInput, () => structuredClone(defaultWaves([])) as v.InferInput<typeof WavesInput>),
    order: v.optional(
      v.pipe(
        v.picklist(Object.values(RolloutOrder)),
        v.description(
          'Order of devices within a wave: by random draw (`pilot-first`), or those most at risk first (`risk-first`)',
        ),
      ),
      RolloutOrder.PilotFirst,
    ),
    advisories: v.exactOptional(
      v.pipe(
        v.array(AdvisoryInput),
        v.minLength(1, 'must name at least one; leave it out when there is none'),
        v.maxLength(20, 'must name at most 20'),
        v.description('Advisories that the artifact fixes. With `risk-first`, affected devices come first'),
      ),
    ),
    onStop: v.optional(
      v.pipe(
        v.picklist(['pause', 'roll-back']),
        v.description('What to do when a gate or a safety event stops the rollout'),
      ),
      'pause',
    ),
    wayBack: text(1_000, 'How devices return to the previous version (safety rule R10)'),
    soakHours: v.optional(
      v.pipe(
        v.number(),
        v.minValue(0, 'must be 0 or more'),
        v.maxValue(60 * 24, 'must be at most 60 days'),
        v.check((hours) => hours === 0 || hours >= 0.01, 'must be 0, or at least 0.01'),
        v.description('How long to watch the rollout after its last wave'),
      ),
      24,
    ),
  }),
  v.forward(
    v.check(
      ({ artifact, selection }) =>
        !madeForSome.includes(artifact.kind) || selection.classes !== undefined || selection.models !== undefined,
      'must name classes or models: firmware and operating systems are made for certain devices',
    ),
    ['selection'],
  ),
  v.forward(
    v.check(
      ({ advisories, order }) => advisories === undefined || order === RolloutOrder.RiskFirst,
      'must be risk-first: in another order advisories would change nothing',
    ),
    ['order'],
  ),
  v.check(
    (definition) => Buffer.byteLength(JSON.stringify(definition)) <= mostBytes,
    `must have at most ${mostBytes} bytes in all: select sites instead of their units`,
  ),
);
export type RolloutInput = v.InferOutput<typeof RolloutInput>;
