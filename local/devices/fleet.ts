import { join } from 'node:path';
import { backoff } from '../../agent/backoff.ts';
import { EstError } from '../../agent/enrollment/est.ts';
import { wallTime } from '../../agent/time.ts';
import type { DeviceProfile } from './profile.ts';
import { seeded } from './seeded.ts';
import { SimulatedDevice } from './simulated-device.ts';
import { fileMemory, volatileMemory } from './state.ts';

/** A device of the fleet, and the enrolment token that it is given when it is unpacked. */
export interface FleetMember {
  readonly profile: DeviceProfile;
  readonly token: string;
}

/** What a fleet is made of; plain data, so that it can be handed to another thread. */
export interface FleetOptions {
  readonly members: readonly FleetMember[];
  readonly seed: number;
  readonly enroll: string;
  readonly device: string;
  readonly mqtt: string;
  /** PEM. */
  readonly ca: string;
  /** The cloud's time now (milliseconds since the epoch), and how many times faster than the wall it runs. */
  readonly now: number;
  readonly speed: number;
  /** Folder for the devices' memories; without it they forget when the program ends. */
  readonly folder?: string;
  /** How many devices enrol at the same time; 4 when left out. */
  readonly enrolling?: number;
}

/** How far a fleet is. */
export interface FleetProgress {
  readonly total: number;
  readonly enrolled: number;
  readonly refused: number;
  /** Over MQTT now, or heard over HTTPS since it last came on the network. */
  readonly connected: number;
}

/** Between the first connections of two devices that are enrolled already, milliseconds of the wall. */
const STAGGER_MS = 20;

/** Runs simulated devices until the signal aborts. Rejects never: a device that fails is reported and left alone. */
export async function runFleet(
  options: FleetOptions,
  signal: AbortSignal,
  report: { progress: (progress: FleetProgress) => void; log: (message: string) => void },
): Promise<void> {
  const time = wallTime(options.speed, options.now);
  const wall = wallTime();
  const connected = new Set<string>();
  const counts = { total: options.members.length, enrolled: 0, refused: 0 };
  const tell = (): void => report.progress({ ...counts, connected: connected.size });
  const lives: Promise<void>[] = [];

  const start = (device: SimulatedDevice): void => {
    lives.push(device.run(signal).catch((error: unknown) => report.log(String(error))));
  };
  const make = ({ profile }: FleetMember): SimulatedDevice =>
    new SimulatedDevice({
      profile,
      seed: options.seed,
      time,
      store: options.folder === undefined ? volatileMemory() : fileMemory(join(options.folder), profile.serial),
      enroll: options.enroll,
      endpoints: { device: options.device, mqtt: options.mqtt },
      ca: options.ca,
      onConnected: (now) => {
        if (now) connected.add(profile.serial);
        else connected.delete(profile.serial);
      },
    });

  const fresh: { member: FleetMember; device: SimulatedDevice }[] = [];
  for (const member of options.members) {
    if (signal.aborted) break;
    const device = make(member);
    if (device.isWiped) continue;
    if (!device.isEnrolled) {
      fresh.push({ member, device });
      continue;
    }
    counts.enrolled += 1;
    start(device);
    await wall.wait(STAGGER_MS, signal);
  }
  tell();

  const enrolNext = async (): Promise<void> => {
    for (let next = fresh.shift(); next !== undefined && !signal.aborted; next = fresh.shift()) {
      const { member, device } = next;
      if (await enrol(device, member, options.seed, signal, report.log)) {
        counts.enrolled += 1;
        start(device);
      } else if (!signal.aborted) counts.refused += 1;
      tell();
    }
  };
  await Promise.all(Array.from({ length: options.enrolling ?? 4 }, enrolNext));
  await Promise.all(lives);
}

async function enrol(
  device: SimulatedDevice,
  { profile, token }: FleetMember,
  seed: number,
  signal: AbortSignal,
  log: (message: string) => void,
): Promise<boolean> {
  const wall = wallTime();
  const random = seeded(seed, profile.serial, 'enrol');
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    try {
      await device.enrol(token, signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      const message = error instanceof Error ? error.message : String(error);
      if ((error instanceof EstError && !error.temporary) || attempt === 8) {
        log(`${profile.serial} was not enrolled: ${message}`);
        return false;
      }
      await wall.wait(backoff(attempt, random(), { longestMs: 15_000 }), signal);
    }
  }
  return false;
}
