/** Name of the execution that carries a rollout forward: one for each rollout, however often it is started. */
export const machineName = (rolloutId: string): string => rolloutId;

/**
 * Name of an execution that only brings devices back: of a rollout whose own has ended, or of devices that nobody had
 * told. The sites of each round have names of their own.
 *
 * @param round from 1
 */
export const backMachineName = (rolloutId: string, round: number): string => `${rolloutId}-back-${round}`;

/** Name of the execution that brings back whom this one left out. */
export function nextMachineName(rolloutId: string, name: string): string {
  const prefix = backMachineName(rolloutId, 0).slice(0, -1);
  const round = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : 0;
  return backMachineName(rolloutId, Number.isInteger(round) ? round + 1 : 1);
}
