import { CommandType } from '../commands/command.ts';
import { DeviceClass } from '../devices/device.ts';

/** What a command does to whoever uses the device. */
export const Disruption = {
  /** The screen asks for the passcode; whoever holds the device goes on after that. */
  HidesScreen: 'hides-screen',
  /** The device is away for a while. */
  Interrupts: 'interrupts',
  /** The device is away for long, and may come back different. */
  Installs: 'installs',
  /** Nothing is left on it. */
  Erases: 'erases',
} as const;
export type Disruption = (typeof Disruption)[keyof typeof Disruption];

/** A command as the rules see it. */
export interface CommandFacts {
  readonly type: CommandType;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Used by people for themselves. All other classes, `other` too, may have a patient connected. */
const personal: ReadonlySet<DeviceClass> = new Set([DeviceClass.Phone, DeviceClass.Tablet, DeviceClass.Workstation]);

/** Whether people use the device for themselves, so that no patient is connected to it. */
export const isPersonal = (deviceClass: DeviceClass): boolean => personal.has(deviceClass);

/** Known to be carried away when it is not docked. */
export const isMobile = (deviceClass: DeviceClass): boolean =>
  deviceClass === DeviceClass.Phone || deviceClass === DeviceClass.Tablet;

/**
 * How a command disturbs; undefined = not at all, so that the interlock lets it through (R11: what goes on in the
 * background is allowed in use).
 */
export function disruptionOf({ type, parameters }: CommandFacts, deviceClass: DeviceClass): Disruption | undefined {
  switch (type) {
    case CommandType.Wipe:
      return Disruption.Erases;
    case CommandType.Restart:
      return Disruption.Interrupts;
    case CommandType.Lock:
      // A PIN that nobody at the bedside knows locks them out.
      return isPersonal(deviceClass) && parameters['pin'] === undefined
        ? Disruption.HidesScreen
        : Disruption.Interrupts;
    case CommandType.InstallUpdate:
      // `idle` leaves the moment to the device. A phone may be trusted with that; where a patient may be connected, its
      // word that it is free comes first.
      return isPersonal(deviceClass) && parameters['activate'] !== 'now' ? undefined : Disruption.Installs;
    case CommandType.ActivateUpdate:
      return Disruption.Installs;
    default:
      return undefined;
  }
}
