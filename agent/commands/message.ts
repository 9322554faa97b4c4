import { userInfo } from 'node:os';
import type { Outcome } from '../machine.ts';
import type { System } from '../report/system.ts';

/** Where a message can be shown. */
export type Display = 'desktop' | 'terminals' | 'journal';

/**
 * Shows a text to whoever uses the machine: on the desktops of those logged in, on all terminals, and in the journal.
 * Fails when it could not be shown anywhere; where it was shown is in the detail.
 */
export async function showMessage(system: System, parameters: Readonly<Record<string, unknown>>): Promise<Outcome> {
  const { title, text } = parameters;
  if (typeof text !== 'string' || text.trim() === '') return { status: 'failed', reason: 'invalid-parameters' };
  const heading = typeof title === 'string' && title !== '' ? printable(title) : 'Message from Wardline';
  const body = printable(text);
  const shown: Display[] = [];
  if (await notify(system, heading, body)) shown.push('desktop');
  // From standard input: as an argument, `wall` would take a text that is a path for a file to be read.
  const wall = await system.run('wall', [], 5_000, `${heading}\n${body}\n`);
  if (wall?.code === 0) shown.push('terminals');
  const journal = await system.run('logger', ['--tag', 'wardline', '--', `${heading}: ${body}`], 5_000);
  if (journal?.code === 0) shown.push('journal');
  return shown.length === 0
    ? { status: 'failed', reason: 'no-display' }
    : { status: 'acknowledged', detail: { shown } };
}

/** Text without control characters: an escape sequence on a terminal can do more than show something. */
export function printable(text: string): string {
  return [...text.replace(/\r?\n|\t/g, ' ')]
    .filter((character) => !/\p{Cc}|\p{Cf}|\p{Cs}|\p{Co}|\p{Zl}|\p{Zp}/u.test(character))
    .join('')
    .trim();
}

/** As a notification on each desktop; as root for every user with a session bus, else for the agent's own user. */
async function notify(system: System, heading: string, body: string): Promise<boolean> {
  const own = userInfo().uid;
  const users = (system.list('/run/user') ?? []).filter(
    (uid) => /^\d+$/.test(uid) && (own === 0 || Number(uid) === own),
  );
  let shown = false;
  for (const uid of users) {
    if (system.list(`/run/user/${uid}`)?.includes('bus') !== true) continue;
    const program = [
      'env',
      `DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/${uid}/bus`,
      'notify-send',
      '--',
      heading,
      body,
    ];
    const [first = 'env', ...rest] =
      Number(uid) === own ? program : ['setpriv', `--reuid=${uid}`, '--clear-groups', ...program];
    const output = await system.run(first, rest, 5_000);
    if (output?.code === 0) shown = true;
  }
  return shown;
}
