import { type ChildProcess, spawn } from 'node:child_process';

/**
 * Waits with the child's id for the end of its own input. The pipe's other end is ours alone, so the operating system
 * closes it when this process ends, however it ends, and the child goes with it. A shell, because it is everywhere, small
 * and not called `node`.
 */
const GUARD = `exec 4<&0
"$@" </dev/null 4<&- &
child=$!
{ cat <&4 >/dev/null; kill -9 $child 2>/dev/null; } >/dev/null 2>&1 &
exec 4<&-
wait $child`;

/**
 * Starts a program that cannot outlive this process, not even when this process is killed with `kill -9`. It gets no
 * input and its standard output is dropped; standard error is piped. It is in a process group of its own: Ctrl-C in the
 * terminal reaches this process alone, which then stops things in order. End it with `stopChild`.
 */
export const spawnChild = (command: string, args: readonly string[]): ChildProcess =>
  process.platform === 'win32'
    ? // On Windows, Node.js puts children into a job object that ends with it.
      spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'], windowsHide: true })
    : spawn('/bin/sh', ['-c', GUARD, 'sh', command, ...args], { stdio: ['pipe', 'ignore', 'pipe'], detached: true });

/** Ends a child of `spawnChild` and waits until it is gone. */
export const stopChild = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => resolve());
    if (process.platform === 'win32') child.kill();
    else child.stdin?.end();
  });
