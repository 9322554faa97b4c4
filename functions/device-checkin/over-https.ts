import type {
  APIGatewayEventRequestContextV2,
  APIGatewayProxyEventV2WithRequestContext,
  APIGatewayProxyStructuredResultV2,
} from 'aws-lambda';
import { callerOf } from '../../shared/devices/client-certificate.ts';
import { Channel } from '../../shared/devices/device.ts';
import { refusalProblem } from '../../shared/devices/refusals.ts';
import { serveCheckIn } from '../../shared/devices/serve-check-in.ts';
import { readBody } from '../../shared/http/body.ts';
import { problemOf } from '../../shared/http/failure.ts';
import { ProblemError } from '../../shared/http/problem.ts';
import { checkInLimitBytes } from '../../shared/protocols/agent/messages.ts';
import { clientTokenOf, parseCheckIn } from '../../shared/protocols/agent/parse.ts';
import type { Means } from './means.ts';

/** The event of `POST /v1/checkin` on the device host (HTTP API, payload format 2.0, mutual TLS). */
export type HttpsCheckIn = APIGatewayProxyEventV2WithRequestContext<APIGatewayEventRequestContextV2>;

/** Serves a check-in over HTTPS. Always answers: 200 with the reply, or problem+json. */
export async function serveHttps(event: HttpsCheckIn, means: Means): Promise<APIGatewayProxyStructuredResultV2> {
  const { requestId } = event.requestContext;
  let deviceId: string | undefined;
  let body: Buffer | undefined;
  try {
    const caller = callerOf(event.requestContext.authentication?.clientCert?.clientCertPem);
    deviceId = caller.deviceId;
    body = readBody(event, checkInLimitBytes);
    const message = parseCheckIn(body);
    const receivedAt = Math.min(event.requestContext.timeEpoch, means.surroundings.now());
    const outcome = await serveCheckIn(means.table, { caller, message, receivedAt }, means.surroundings);
    if ('refusal' in outcome) throw refusalProblem(outcome.refusal);
    means.journal.served(caller.deviceId, Channel.Https, outcome);
    return response(200, 'application/json', outcome.reply);
  } catch (error) {
    if (error instanceof ProblemError) means.journal.refused(deviceId, Channel.Https, error.problem, requestId);
    else means.journal.failed(deviceId, Channel.Https, error, requestId);
    const { problem, headers } = problemOf(error);
    const clientToken = body === undefined ? undefined : clientTokenOf(body);
    const instance = `urn:wardline:request:${requestId}`;
    const answer = { ...(clientToken === undefined ? {} : { clientToken }), ...problem, instance };
    return response(problem.status, 'application/problem+json', answer, headers);
  }
}

const response = (
  statusCode: number,
  type: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): APIGatewayProxyStructuredResultV2 => ({
  statusCode,
  headers: { 'content-type': type, 'cache-control': 'no-store', ...headers },
  body: JSON.stringify(body),
  isBase64Encoded: false,
});
