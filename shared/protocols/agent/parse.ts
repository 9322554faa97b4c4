import { parseJson } from '../../http/body.ts';
import { problems } from '../../http/problem.ts';
import { validate } from '../../http/validate.ts';
import { CheckInMessage, checkInLimitBytes, depthLimit } from './messages.ts';

/**
 * A check-in out of the bytes of an MQTT message or HTTP body.
 *
 * @throws ProblemError 413 above the limit, which its text names; 400 for what is not UTF-8, not JSON, nested too deep,
 *   or has a member of the wrong type, with a JSON Pointer to each
 */
export function parseCheckIn(body: Uint8Array): CheckInMessage {
  if (body.length > checkInLimitBytes) {
    throw problems.tooLarge(
      `The check-in has ${body.length} bytes; at most ${checkInLimitBytes} are accepted.`,
      checkInLimitBytes,
    );
  }
  if (isNestedDeeperThan(body, depthLimit)) {
    throw problems.invalid(`The check-in is nested deeper than ${depthLimit} levels.`);
  }
  return validate(CheckInMessage, parseJson(body));
}

/**
 * The `clientToken` of a message that was refused, so that the refusal can be matched; undefined when the message does
 * not let itself be read that far.
 */
export function clientTokenOf(body: Uint8Array): string | undefined {
  if (body.length > checkInLimitBytes || isNestedDeeperThan(body, depthLimit)) return undefined;
  try {
    const value = parseJson(body);
    if (typeof value !== 'object' || value === null || !('clientToken' in value)) return undefined;
    const { clientToken } = value;
    return typeof clientToken === 'string' && clientToken.length <= 64 ? clientToken : undefined;
  } catch {
    // It is refused already for what is wrong with it.
    return undefined;
  }
}

const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = [...'"\\[]{}'].map((letter) =>
  letter.charCodeAt(0),
);

/** Counts brackets outside strings, before a parser or serializer recurses into them. */
function isNestedDeeperThan(body: Uint8Array, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < body.length; index += 1) {
    const byte = body[index];
    if (inString) {
      if (byte === backslash) index += 1;
      else if (byte === quote) inString = false;
    } else if (byte === quote) {
      inString = true;
    } else if (byte === openBracket || byte === openBrace) {
      depth += 1;
      if (depth > limit) return true;
    } else if (byte === closeBracket || byte === closeBrace) {
      depth -= 1;
    }
  }
  return false;
}
