import type { networkInterfaces } from 'node:os';
import { parseDefaultRoutes } from './proc.ts';
import type { System } from './system.ts';

/** A network interface that leads out of the machine. */
export interface NetworkInterface {
  readonly name: string;
  readonly kind: 'wired' | 'wireless' | 'virtual';
  readonly mac?: string;
  /** As the kernel says: `up`, `down`, `unknown`. */
  readonly state: string;
  /** With prefix length. Link-local addresses are left out: every machine has them. */
  readonly addresses: readonly string[];
  readonly defaultRoute: boolean;
}

/** The interfaces in order of name, without loopback and without virtual ones that have no address. */
export function networkInterfacesOf(system: System): NetworkInterface[] {
  const routes = parseDefaultRoutes(system.text('/proc/net/route') ?? '');
  const addresses = system.addresses();
  return (system.list('/sys/class/net') ?? [])
    .filter((name) => name !== 'lo' && system.text(`/sys/class/net/${name}/type`)?.trim() !== '772')
    .map((name) => {
      const folder = `/sys/class/net/${name}`;
      const mac = system.text(`${folder}/address`)?.trim();
      const wireless =
        system.list(`${folder}/wireless`) !== undefined || system.list(`${folder}/phy80211`) !== undefined;
      return {
        name,
        kind: wireless ? 'wireless' : system.real(folder)?.includes('/virtual/') ? 'virtual' : 'wired',
        ...(mac === undefined || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac) ? {} : { mac }),
        state: system.text(`${folder}/operstate`)?.trim() ?? 'unknown',
        addresses: routable(addresses[name]),
        defaultRoute: routes.includes(name),
      } as const;
    })
    .filter(({ kind, addresses: own }) => kind !== 'virtual' || own.length > 0);
}

function routable(addresses: ReturnType<typeof networkInterfaces>[string]): string[] {
  return (addresses ?? [])
    .filter(({ address, internal }) => !internal && !/^fe80:/i.test(address) && !address.startsWith('169.254.'))
    .map(({ address, cidr }) => cidr ?? address)
    .sort();
}
