import { screenLockPolicy } from '../../../../agent/report/screen-lock.ts';

const section = '[org/gnome/desktop/screensaver]\n';

test('a locked setting is enforced', () => {
  const locks = ['/org/gnome/desktop/screensaver/lock-enabled\n'];
  expect(screenLockPolicy([`${section}lock-enabled=true\n`], locks)).toEqual({ enabled: true, enforced: true });
  expect(screenLockPolicy([`${section}lock-enabled=true\n`], ['/org/gnome/desktop/'])?.enforced).toBe(true);
});

test('a default that users may change is not enforced', () => {
  expect(screenLockPolicy([`${section}lock-enabled = false`], ['/org/gnome/other'])).toEqual({
    enabled: false,
    enforced: false,
  });
});

test('later files win, other sections do not count, silence says nothing', () => {
  expect(screenLockPolicy([`${section}lock-enabled=false`, `${section}lock-enabled=true`], [])?.enabled).toBe(true);
  expect(screenLockPolicy(['[other]\nlock-enabled=true'], [])).toBeUndefined();
  expect(screenLockPolicy([], ['/org/gnome/desktop/screensaver/lock-enabled'])).toBeUndefined();
});
