import { spawnSync } from 'node:child_process';

/** How often the parent is looked for, ms. */
const INTERVAL = 500;

/**
 * Calls `run` once when npm, which started this process, has ended: killed with `kill -9` it cannot tell its children.
 * Does nothing for a process that was not started by npm.
 */
export function whenParentEnds(run: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined || process.platform === 'win32') return;
  const watched = [process.ppid];
  const parent = describe(process.ppid);
  // npm starts a shell, which may stand between.
  if (parent !== undefined && /^(\S*\/)?(sh|dash|bash)\s+-c\b/.test(parent.command)) watched.push(parent.parentId);
  const first = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === first && watched.every(isAlive)) return;
    clearInterval(timer);
    run();
  }, INTERVAL);
  timer.unref();
}

function describe(id: number): { readonly parentId: number; readonly command: string } | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'ppid=,args=', '-p', String(id)], { encoding: 'utf8' });
  const [, parentId, command] = /^\s*(\d+)\s+(.*)$/m.exec(stdout ?? '') ?? [];
  return parentId === undefined || command === undefined ? undefined : { parentId: Number(parentId), command };
}

/** Whether there is a process with this id. */
export function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
