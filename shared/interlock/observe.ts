import type { GateInput } from '../commands/gates/gate.ts';
import type { Device } from '../devices/device.ts';
import type { PlaceFacts } from '../places/facts.ts';
import { nextOpening } from '../places/windows.ts';
import type { Disruption } from './disruption.ts';
import { SignalKind } from './signals.ts';

/** Signals that the interlock decides on, by the names that decisions carry. */
export const SignalName = {
  DeviceClass: 'device-class',
  Tier: 'tier',
  DeviceState: 'device-state',
  PatientContext: 'patient-context',
  OperatingMode: 'operating-mode',
  ActivationState: 'activation-state',
  Session: SignalKind.Session,
  EhrOccupancy: SignalKind.EhrOccupancy,
  Charging: 'charging',
  Battery: 'battery',
  /** `open`, `never`, `unknown`, or the time at which it opens. */
  Window: 'window',
} as const;

/** Added to the word of a signal that its source has not renewed in time. */
export const expiredSuffix = '-expired';

/** What the interlock may know of a device. */
export type DeviceFacts = Pick<Device, 'class' | 'clinical' | 'power' | 'posture' | 'signals'>;

/** What is decided on, and when the device itself last said what its record holds. */
export interface Observation {
  readonly device: DeviceFacts;
  /** When a message confirmed `device.clinical` (milliseconds, our clock); undefined = not since it changed. */
  readonly clinicalSaidAt?: number | undefined;
  /** Undefined = it stands nowhere that is known. */
  readonly place: PlaceFacts | undefined;
  /** Milliseconds, our clock. */
  readonly now: number;
}

/** Everything known that bears on the decision, each fact with its source and age; `unknown` where nobody said. */
export function observe(observation: Observation, disruption: Disruption): GateInput[] {
  const { device, place, now } = observation;
  const installs = disruption === 'installs';
  return [
    { signal: SignalName.DeviceClass, value: device.class, source: 'directory' },
    { signal: SignalName.Tier, value: place?.tier ?? 'unknown', source: 'directory', ...aged(place?.tierSince, now) },
    ...clinicalInputs(observation),
    ...signalInputs(device, now),
    ...powerInputs(device, now, installs),
    ...(installs ? [windowInput(place, now)] : []),
  ];
}

function clinicalInputs({ device, clinicalSaidAt, now }: Observation): GateInput[] {
  const { clinical } = device;
  if (clinical === undefined) return [{ signal: SignalName.DeviceState, value: 'unknown', source: 'device' }];
  const recorded = clinical.ageUnknown === true ? undefined : clinical.at;
  const said = clinicalSaidAt === undefined ? recorded : new Date(clinicalSaidAt).toISOString();
  const input = (signal: string, value: string | undefined): GateInput[] =>
    value === undefined ? [] : [{ signal, value, source: 'device', ...aged(said, now) }];
  return [
    ...input(SignalName.DeviceState, clinical.state),
    ...input(SignalName.PatientContext, clinical.contextAssociation),
    ...input(SignalName.OperatingMode, clinical.operatingMode),
    ...input(SignalName.ActivationState, clinical.activationState),
  ];
}

function signalInputs({ signals }: DeviceFacts, now: number): GateInput[] {
  return Object.values(SignalKind).flatMap((kind) => {
    const signal = signals?.[kind];
    if (signal === undefined) return [];
    const expired = Date.parse(signal.until) <= now;
    const value = expired ? signal.state + expiredSuffix : signal.state;
    return [{ signal: kind, value, source: signal.source, ...aged(signal.at, now) }];
  });
}

/** What a device said of its power holds until it says something else: it reports that when it changes. */
function powerInputs({ power, posture }: DeviceFacts, now: number, installs: boolean): GateInput[] {
  const when = aged(posture?.at, now);
  const charging = { signal: SignalName.Charging, value: power?.charging ?? 'unknown', source: 'device', ...when };
  const battery = { signal: SignalName.Battery, value: power?.percent ?? 'unknown', source: 'device', ...when };
  return installs ? [charging, battery] : [charging];
}

function windowInput(place: PlaceFacts | undefined, now: number): GateInput {
  const input = { signal: SignalName.Window, source: 'directory' };
  if (place === undefined) return { ...input, value: 'unknown' };
  const opening = nextOpening(place.calendar, now);
  if (opening === undefined) return { ...input, value: 'never' };
  return { ...input, value: opening.from <= now ? 'open' : new Date(opening.from).toISOString() };
}

function aged(at: string | undefined, now: number): { at?: string; ageSeconds?: number } {
  if (at === undefined) return {};
  return { at, ageSeconds: Math.max(0, Math.round((now - Date.parse(at)) / 1_000)) };
}
