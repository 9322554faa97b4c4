/** What a package manager says is waiting to be installed. */
export interface PendingUpdates {
  readonly total: number;
  readonly security: number;
}

/**
 * Counts what `apt-get --simulate dist-upgrade` would install. A line reads
 * `Inst libssl3 [3.0.15-1] (3.0.16-1 Debian-Security:12/stable-security [amd64])`: an update comes from a security
 * archive when one of its origins says so, which holds for Debian and Ubuntu. New packages (no `[old version]`) that an
 * update pulls in are counted as well: it is not installed without them.
 */
export function parseAptSimulation(text: string): PendingUpdates {
  let total = 0;
  let security = 0;
  for (const line of text.split('\n')) {
    const [, origins] = /^Inst \S+ (?:\[[^\]]*\] )?\((\S+ [^)]*)\)/.exec(line) ?? [];
    if (origins === undefined) continue;
    total += 1;
    if (/security/i.test(origins)) security += 1;
  }
  return { total, security };
}

/**
 * Counts the packages of `dnf --quiet updateinfo list --updates` (`FEDORA-2026-1 Important/Sec. openssl-3.2.2-1.x86_64`).
 * One package may appear under several advisories and counts once; it is a security update when one of them is.
 */
export function parseDnfUpdateInfo(text: string): PendingUpdates {
  const packages = new Map<string, boolean>();
  for (const line of text.split('\n')) {
    const [, kind, name] = /^\S+\s+(\S+)\s+(\S+-\S+-\S+\.\w+)\s*$/.exec(line) ?? [];
    if (kind === undefined || name === undefined) continue;
    packages.set(name, (packages.get(name) ?? false) || /(^|\/)sec(urity)?\.?$/i.test(kind));
  }
  return { total: packages.size, security: [...packages.values()].filter((security) => security).length };
}
