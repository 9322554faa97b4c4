/** What the administrator's settings say of the screen lock. */
export interface ScreenLockPolicy {
  /** Whether the screen locks. */
  readonly enabled: boolean;
  /** Whether the user can change that. */
  readonly enforced: boolean;
}

const SETTING = '/org/gnome/desktop/screensaver/lock-enabled';

/**
 * Reads GNOME's system-wide settings (key files of `/etc/dconf/db/<name>.d/` and the paths in its `locks/`;
 * https://help.gnome.org/admin/system-admin-guide/stable/dconf-lockdown.html). Later files win, as dconf sorts them.
 * Undefined when they say nothing: then each user decides, and the agent cannot know.
 */
export function screenLockPolicy(
  keyFiles: readonly string[],
  lockFiles: readonly string[],
): ScreenLockPolicy | undefined {
  let enabled: boolean | undefined;
  for (const text of keyFiles) {
    let section = '';
    for (const line of text.split('\n')) {
      const [, heading] = /^\s*\[([^\]]+)\]\s*$/.exec(line) ?? [];
      if (heading !== undefined) section = heading;
      const [, value] = /^\s*lock-enabled\s*=\s*(true|false)\s*$/.exec(line) ?? [];
      if (value !== undefined && section === 'org/gnome/desktop/screensaver') enabled = value === 'true';
    }
  }
  if (enabled === undefined) return undefined;
  const locks = lockFiles.flatMap((text) => text.split('\n').map((line) => line.trim()));
  return {
    enabled,
    enforced: locks.some((lock) => lock === SETTING || (lock.endsWith('/') && SETTING.startsWith(lock))),
  };
}
