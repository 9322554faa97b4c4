import type { CheckInMessage, CommandResult as Result } from '../../shared/protocols/agent/messages.ts';

/**
 * The agent protocol as a device sees it (docs/protocols/agent.md). What the server says is read tolerantly: unknown
 * members are left alone, a command that makes no sense is dropped and the rest of the reply still counts.
 */

/** What became of one command, as it is reported. */
export type CommandResult = Readonly<Result>;

/** One check-in. */
export type CheckIn = Readonly<CheckInMessage>;

/** A command as it is delivered. */
export interface DeliveredCommand {
  readonly id: string;
  readonly type: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch, the server's clock. */
  readonly expiresAt: number;
}

/** What the server answers. */
export interface CheckInReply {
  readonly clientToken?: string;
  /** Milliseconds since the epoch. */
  readonly serverTime: number;
  readonly nextCheckInSeconds: number;
  readonly commands: readonly DeliveredCommand[];
  readonly desiredVersion?: number;
  readonly desired?: unknown;
}

/** The server refused a check-in. */
export class CheckInRefused extends Error {
  /** HTTP status, also over MQTT. */
  readonly status: number;
  /** What the server asks to wait, seconds. */
  readonly retryAfterSeconds: number | undefined;
  constructor(status: number, message: string, retryAfterSeconds?: number) {
    super(message);
    this.name = 'CheckInRefused';
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** How long a device waits when the server names no sensible time. */
const DEFAULT_INTERVAL_SECONDS = 900;

/** Reads a reply; throws `SyntaxError` when it is no JSON object with a server time. */
export function parseReply(text: string): CheckInReply {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new SyntaxError('the reply is not a JSON object');
  const serverTime = time(value['serverTime']);
  if (serverTime === undefined) throw new SyntaxError('the reply has no server time');
  const interval = value['nextCheckInSeconds'];
  return {
    serverTime,
    nextCheckInSeconds:
      typeof interval === 'number' && Number.isFinite(interval) && interval >= 1 && interval <= 7 * 86_400
        ? interval
        : DEFAULT_INTERVAL_SECONDS,
    commands: Array.isArray(value['commands']) ? value['commands'].flatMap(command) : [],
    ...(typeof value['clientToken'] === 'string' ? { clientToken: value['clientToken'] } : {}),
    ...(typeof value['desiredVersion'] === 'number' ? { desiredVersion: value['desiredVersion'] } : {}),
    ...(value['desired'] === undefined ? {} : { desired: value['desired'] }),
  };
}

function command(value: unknown): DeliveredCommand[] {
  if (!isRecord(value)) return [];
  const { id, type, parameters } = value;
  const expiresAt = time(value['expiresAt']);
  if (typeof id !== 'string' || id === '' || typeof type !== 'string' || expiresAt === undefined) return [];
  return [{ id, type, parameters: isRecord(parameters) ? parameters : {}, expiresAt }];
}

/** Reads a refusal, in the form of problem+json (RFC 9457) on either channel. */
export function parseRefusal(text: string, status: number): CheckInRefused {
  let problem: unknown;
  try {
    problem = JSON.parse(text);
  } catch {
    problem = undefined;
  }
  if (!isRecord(problem)) return new CheckInRefused(status, `the check-in was refused: ${text.slice(0, 300)}`);
  const said = typeof problem['status'] === 'number' ? problem['status'] : status;
  const words = [problem['title'], problem['detail']].filter((part) => typeof part === 'string').join(': ');
  return new CheckInRefused(said, `the check-in was refused with ${said}: ${words.slice(0, 500)}`);
}

/** The `n` of a wake-up; undefined for a payload that has none. The wake-up itself counts either way. */
export function parseWakeUp(text: string): number | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const n = isRecord(value) ? value['n'] : undefined;
    return typeof n === 'number' && Number.isSafeInteger(n) && n >= 0 ? n : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function time(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const milliseconds = Date.parse(value);
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}
