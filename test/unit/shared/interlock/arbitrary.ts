import fc from 'fast-check';
import { CommandType } from '../../../../shared/commands/command.ts';
import {
  ActivationState,
  ClinicalState,
  ContextAssociation,
  DeviceClass,
  OperatingMode,
} from '../../../../shared/devices/device.ts';
import type { DeviceFacts, Observation } from '../../../../shared/interlock/observe.ts';
import { SignalKind, signalStates } from '../../../../shared/interlock/signals.ts';
import type { PlaceFacts } from '../../../../shared/places/facts.ts';
import { AcuityTier } from '../../../../shared/places/place.ts';

/** The time at which everything is decided. */
export const now = Date.parse('2027-03-14T12:00:00.000Z');

/** Some time before now, often just at the limits that matter. */
const before = fc
  .oneof(fc.constantFrom(0, 1, 59, 60, 61, 299, 300, 301, 3_600), fc.integer({ min: 0, max: 200_000 }))
  .map((seconds) => now - seconds * 1_000);
const iso = (time: number) => new Date(time).toISOString();
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

/** Leaves out what is undefined, as records in the table do. */
export function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;
}

const clinical = fc
  .record({
    state: fc.constantFrom(...Object.values(ClinicalState)),
    at: before.map(iso),
    operatingMode: optional(fc.constantFrom(...Object.values(OperatingMode))),
    activationState: optional(fc.constantFrom(...Object.values(ActivationState))),
    contextAssociation: optional(fc.constantFrom(...Object.values(ContextAssociation))),
  })
  .map(compact);

const signal = (kind: SignalKind) =>
  fc.record({
    state: fc.constantFrom(...signalStates[kind]),
    at: before.map(iso),
    until: fc.integer({ min: -1_000, max: 1_000 }).map((seconds) => iso(now + seconds * 1_000)),
    source: fc.constant('user:ehr'),
  });

const power = fc
  .record({ charging: optional(fc.boolean()), percent: optional(fc.integer({ min: 0, max: 100 })) })
  .map(compact);

/** Every device there can be. */
export const device: fc.Arbitrary<DeviceFacts> = fc
  .record({
    class: fc.constantFrom(...Object.values(DeviceClass)),
    clinical: optional(clinical),
    power: optional(power),
    posture: optional(fc.record({ hash: fc.constant('h'), at: before.map(iso) })),
    signals: optional(
      fc
        .record({
          [SignalKind.Session]: optional(signal(SignalKind.Session)),
          [SignalKind.EhrOccupancy]: optional(signal(SignalKind.EhrOccupancy)),
        })
        .map(compact),
    ),
  })
  .map((value) => compact(value) as DeviceFacts);

/** Every place, nowhere included. */
export const place: fc.Arbitrary<PlaceFacts | undefined> = optional(
  fc
    .record({
      tier: optional(fc.constantFrom(...Object.values(AcuityTier))),
      tierSince: fc.constant('2026-01-01T00:00:00.000Z'),
      calendar: fc.constantFrom(
        { zone: 'America/New_York', windows: [], blackouts: [], freezes: [] },
        {
          zone: 'America/New_York',
          windows: [{ days: ['wed' as const], from: '01:00', to: '03:00' }],
          blackouts: [],
          freezes: [],
        },
        {
          zone: 'Asia/Kolkata',
          windows: [],
          blackouts: [],
          freezes: [{ name: 'f', from: '2027-03-01T00:00', to: '2027-04-01T00:00' }],
        },
      ),
    })
    .map((value) => compact(value) as PlaceFacts),
);

/** Everything that can be known of a device, and perhaps its word of this moment. */
export const observation: fc.Arbitrary<Observation> = fc
  .record({ device, place, clinicalSaidAt: optional(before) })
  .map((value) => ({ ...value, now }));

/** Commands of each type, with the parameters that change how they disturb. */
export const command = fc.record({
  type: fc.constantFrom(...Object.values(CommandType)),
  parameters: fc.constantFrom({}, { activate: 'now' }, { activate: 'idle' }, { pin: '123456' }),
});
