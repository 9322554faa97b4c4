import { createHash } from 'node:crypto';
import type { DeliveredCommand } from '../../agent/channel/messages.ts';
import type { Facts, Machine, Outcome } from '../../agent/machine.ts';
import type { Time } from '../../agent/time.ts';
import { CommandType } from '../../shared/commands/command.ts';
import { type Battery, batteryAt } from './battery.ts';
import { type Plan, planFor } from './behaviour.ts';
import type { DeviceProfile } from './profile.ts';
import { pick, seeded } from './seeded.ts';
import type { DeviceMemory } from './state.ts';
import { activated, isActive, isStaged, reported, staged, type Update, updateOf } from './updates.ts';
import { type Usage, usageAt } from './usage.ts';

const MOBILE_ENCRYPTION = [
  ['encrypted', 0.98],
  ['not-encrypted', 0.02],
] as const;
const MEDICAL_ENCRYPTION = [
  ['encrypted', 0.55],
  ['unknown', 0.35],
  ['not-encrypted', 0.1],
] as const;
const MOBILE_UPDATES: readonly (readonly [number | 'unknown', number])[] = [
  [0, 0.86],
  [1, 0.06],
  [3, 0.05],
  [7, 0.02],
  ['unknown', 0.01],
];
const MEDICAL_UPDATES: readonly (readonly [number | 'unknown', number])[] = [
  [0, 0.6],
  ['unknown', 0.32],
  [1, 0.06],
  [2, 0.02],
];

/** What a simulated machine is made of. */
export interface SimulatedMachineParts {
  readonly seed: number;
  readonly profile: DeviceProfile;
  readonly time: Time;
  readonly memory: () => DeviceMemory;
  readonly remember: (change: Partial<DeviceMemory>) => void;
  /** Something changed that the server should hear of. */
  readonly changed: () => void;
  /** Goes off the network for a while, e.g. to restart; resolves when it is back or the signal aborts. */
  readonly offline: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly rotateCertificate: (signal: AbortSignal) => Promise<void>;
  /** Erased: after the result has been reported the device is gone. */
  readonly wiped: () => void;
  readonly reportAll: () => void;
}

/** A machine that exists only here: it behaves as its profile, seed and clock say. */
export class SimulatedMachine implements Machine {
  readonly #parts: SimulatedMachineParts;
  #usage: Usage | undefined;

  constructor(parts: SimulatedMachineParts) {
    this.#parts = parts;
  }

  /** Clinical use now. */
  usage(): Usage {
    const { seed, profile, time } = this.#parts;
    const now = time.now();
    if (this.#usage === undefined || now >= this.#usage.until || now < this.#usage.since) {
      this.#usage = usageAt(seed, profile, now);
    }
    return this.#usage;
  }

  clinical() {
    const { state, since } = this.usage();
    return { state, at: since };
  }

  desiredVersion(): number {
    return this.#parts.memory().desiredVersion ?? 0;
  }

  /** Takes the settings over a few seconds later. They change nothing that a patient would notice, so at any time. */
  desire(version: number): void {
    const { seed, profile, time, remember, changed } = this.#parts;
    const delay = 3_000 + 20_000 * seeded(seed, profile.serial, 'desire', version)();
    void time.wait(delay).then(() => {
      remember({ desiredVersion: version });
      changed();
    });
  }

  async inventory(): Promise<Facts> {
    const { seed, profile } = this.#parts;
    const random = seeded(seed, profile.serial, 'hardware');
    const mac = ['02', ...Array.from({ length: 5 }, () => hex(random, 2))].join(':');
    return {
      serial: profile.serial,
      manufacturer: profile.manufacturer,
      model: profile.model,
      os: { name: profile.os.name, version: this.#osVersion() },
      ...reported(this.#parts.memory()),
      location: profile.location,
      network: [
        {
          name: 'wlan0',
          kind: 'wireless',
          mac,
          ssid: profile.platform === 'iomt' ? 'clinical-devices' : 'clinical-staff',
        },
      ],
      storageBytes: profile.platform === 'iomt' ? 8e9 : 128e9,
      batteryCycles: Math.floor(random() * 600),
      ...(profile.platform === 'iomt'
        ? { hardwareRevision: `${1 + Math.floor(random() * 4)}.${Math.floor(random() * 10)}` }
        : {}),
    };
  }

  async posture(): Promise<Facts> {
    const { seed, profile, memory } = this.#parts;
    const random = seeded(seed, profile.serial, 'security');
    const { percent, charging } = this.#battery();
    const { lockedAt, bootedAt } = memory();
    const medical = profile.platform === 'iomt';
    return {
      battery: { percent, charging },
      diskEncryption: { state: pick(random, medical ? MEDICAL_ENCRYPTION : MOBILE_ENCRYPTION) },
      screenLock: { state: medical ? 'not-applicable' : random() < 0.97 ? 'enabled' : 'disabled' },
      // Few makers of medical devices say what their firmware lacks; an update that was installed closes the gaps.
      updates: {
        security: memory().osVersion !== undefined ? 0 : pick(random, medical ? MEDICAL_UPDATES : MOBILE_UPDATES),
      },
      ...(lockedAt === undefined ? {} : { locked: this.#isLocked(lockedAt) }),
      bootedAt: bootedAt === undefined ? 'unknown' : new Date(bootedAt).toISOString(),
    };
  }

  async carryOut(command: DeliveredCommand, signal: AbortSignal): Promise<Outcome> {
    const { seed, profile, time } = this.#parts;
    const plan = planFor(seed, profile, command, {
      now: time.now(),
      state: this.usage().state,
      battery: this.#battery(),
    });
    if (plan.kind === 'defer') return { status: 'deferred', reason: plan.reason, until: plan.until };
    if (command.type === CommandType.DownloadUpdate) return this.#download(updateOf(command), plan, signal);
    if (command.type === CommandType.ActivateUpdate) return this.#activate(updateOf(command), plan, signal);
    const restarts = command.type === CommandType.Restart || command.type === CommandType.InstallUpdate;
    // An update is fetched while the device works; only its end takes the device away.
    await time.wait(command.type === CommandType.Restart ? 2_000 : plan.takes, signal);
    if (plan.kind === 'fail') return { status: 'failed', reason: plan.reason };
    if (restarts) {
      if (command.type === CommandType.InstallUpdate)
        this.#parts.remember({ osVersion: String(command.parameters['version']) });
      await this.#parts.offline(command.type === CommandType.Restart ? plan.takes : 60_000, signal);
      this.#parts.remember({ bootedAt: time.now() });
    }
    return this.#effect(command, signal);
  }

  /** Fetches an update beside what runs. */
  async #download(update: Update, plan: Exclude<Plan, { kind: 'defer' }>, signal: AbortSignal): Promise<Outcome> {
    const { time, memory, remember } = this.#parts;
    await time.wait(plan.takes, signal);
    if (plan.kind === 'fail') return { status: 'failed', reason: plan.reason };
    remember(staged(memory(), update));
    return { status: 'acknowledged', detail: { sha256: update.sha256 } };
  }

  /** Changes to what was fetched, or back: is away meanwhile, and comes back with one version or the other. */
  async #activate(update: Update, plan: Exclude<Plan, { kind: 'defer' }>, signal: AbortSignal): Promise<Outcome> {
    const { profile, time, memory, remember, offline, reportAll } = this.#parts;
    // A device that went back by itself is where the way back leads.
    if (isActive(memory(), profile, update)) return { status: 'acknowledged' };
    if (!isStaged(memory(), update)) return { status: 'failed', reason: 'not-staged' };
    await offline(plan.takes, signal);
    remember({ bootedAt: time.now() });
    if (plan.kind === 'fail') return { status: 'failed', reason: plan.reason };
    remember(activated(memory(), profile, update));
    reportAll();
    return { status: 'acknowledged' };
  }

  /** Everything but a message may be done twice: the second time it finds its work done. */
  repeatable(type: string): boolean {
    return type !== CommandType.Message && type !== CommandType.Wipe;
  }

  async #effect(command: DeliveredCommand, signal: AbortSignal): Promise<Outcome> {
    const { seed, profile, time, remember, reportAll, rotateCertificate, wiped } = this.#parts;
    const random = seeded(seed, profile.serial, 'effect', command.id);
    switch (command.type) {
      case CommandType.Inventory:
        reportAll();
        return { status: 'acknowledged' };
      case CommandType.Lock:
        remember({ lockedAt: time.now() });
        return { status: 'acknowledged' };
      case CommandType.Locate: {
        const { facility, building, floor, pointOfCare } = profile.location;
        const accessPoint = `ap-${building.toLowerCase().replace(/\W+/g, '-')}-${floor}-${1 + Math.floor(random() * 12)}`;
        return {
          status: 'acknowledged',
          detail: { facility, building, floor, pointOfCare, accessPoint, method: 'wifi' },
        };
      }
      case CommandType.CollectLogs: {
        const bytes = 20_000 + Math.floor(random() * 400_000);
        const sha256 = createHash('sha256').update(`${seed} ${command.id} ${bytes}`).digest('hex');
        return {
          status: 'acknowledged',
          detail: { source: 'simulated', bytes, sha256, redactions: Math.floor(random() * 6) },
        };
      }
      case CommandType.RotateCertificate:
        await rotateCertificate(signal);
        return { status: 'acknowledged' };
      case CommandType.Wipe:
        wiped();
        return { status: 'acknowledged' };
      default:
        return { status: 'acknowledged' };
    }
  }

  #battery(): Battery {
    const { seed, profile, time } = this.#parts;
    return batteryAt(seed, profile, this.usage(), time.now());
  }

  #osVersion(): string {
    return this.#parts.memory().osVersion ?? this.#parts.profile.os.version;
  }

  /** Who takes the device up for the next use unlocks it. */
  #isLocked(lockedAt: number): boolean {
    const { state, since } = this.usage();
    return !(state === 'in-use' && since > lockedAt);
  }
}

const hex = (random: () => number, digits: number): string =>
  Math.floor(random() * 16 ** digits)
    .toString(16)
    .padStart(digits, '0');
