import type { BlockDevice } from './storage.ts';
import type { System } from './system.ts';

/** All block devices of the kernel, from `/sys/class/block` (https://docs.kernel.org/admin-guide/sysfs-rules.html). */
export function blockDevicesOf(system: System): BlockDevice[] {
  return (system.list('/sys/class/block') ?? []).map((name) => {
    const folder = `/sys/class/block/${name}`;
    const partition = system.text(`${folder}/partition`) !== undefined;
    // A partition's folder lies in that of its disk.
    const disk = partition ? system.real(folder)?.split('/').at(-2) : undefined;
    const sectors = Number(system.text(`${folder}/size`)?.trim() || Number.NaN);
    const model = system.text(`${folder}/device/model`)?.trim();
    return {
      name,
      // Counted in sectors of 512 bytes, whatever the disk's own are.
      bytes: Number.isSafeInteger(sectors) ? sectors * 512 : undefined,
      model: model === '' ? undefined : model,
      removable: system.text(`${folder}/removable`)?.trim() === '1',
      partition,
      mapperUuid: system.text(`${folder}/dm/uuid`)?.trim(),
      parents: disk === undefined ? (system.list(`${folder}/slaves`) ?? []) : [disk],
    };
  });
}
