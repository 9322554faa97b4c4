import { arch, hostname, release } from 'node:os';
import { blockDevicesOf } from './block-devices.ts';
import { firmwareField } from './hardware.ts';
import { UNKNOWN } from './known.ts';
import { networkInterfacesOf } from './network.ts';
import { parseOsRelease } from './os-release.ts';
import { parseMemory, parseProcessors } from './proc.ts';
import { disks } from './storage.ts';
import type { System } from './system.ts';

/** Version of the agent, reported with the inventory. */
export const AGENT_VERSION = '0.1.0';

/** Hardware and software of a Linux machine. Volatile values (load, free space) are left out: they would make it change always. */
export function linuxInventory(system: System, serial: { serial: string; source: string }): Record<string, unknown> {
  const firmware = (field: string): string => firmwareField(system.text(`/sys/class/dmi/id/${field}`)) ?? UNKNOWN;
  const deviceTree = firmwareField(system.text('/proc/device-tree/model'));
  const processors = parseProcessors(system.text('/proc/cpuinfo') ?? '');
  const os = parseOsRelease(system.text('/etc/os-release') ?? system.text('/usr/lib/os-release') ?? '');
  return {
    serial: serial.serial,
    serialSource: serial.source,
    hostname: hostname(),
    manufacturer: firmware('sys_vendor'),
    model: deviceTree ?? firmware('product_name'),
    firmwareVersion: firmware('bios_version'),
    os: { ...os, kernel: release(), architecture: arch() },
    processor: { model: processors.model ?? UNKNOWN, count: processors.count ?? UNKNOWN },
    memoryBytes: parseMemory(system.text('/proc/meminfo') ?? '') ?? UNKNOWN,
    disks: disks(blockDevicesOf(system)),
    network: networkInterfacesOf(system),
    agent: { name: 'wardline-agent', version: AGENT_VERSION, node: process.version },
  };
}
