import { Logger } from '@aws-lambda-powertools/logger';
import { IoTClient } from '@aws-sdk/client-iot';
import { KMSClient } from '@aws-sdk/client-kms';
import type {
  APIGatewayEventRequestContextV2,
  APIGatewayProxyEventV2WithRequestContext,
  APIGatewayProxyStructuredResultV2,
} from 'aws-lambda';
import { openTable, requiredEnvironment } from '../../shared/aws/dynamodb.ts';
import { iotRegistrar } from '../../shared/aws/iot-registrar.ts';
import { kmsSigner } from '../../shared/aws/kms-signer.ts';
import { systemClock } from '../../shared/clock.ts';
import { type EstAnswer, refusalAnswer } from '../../shared/enrollment/est.ts';
import { caCertificates, type EstMeans, simpleEnroll, simpleReenroll } from '../../shared/enrollment/est-server.ts';
import { enrollmentStore } from '../../shared/enrollment/store.ts';
import { describeFailure } from '../../shared/http/failure.ts';

const logger = new Logger();

const means: EstMeans = {
  store: enrollmentStore({
    devices: openTable(requiredEnvironment('DEVICES_TABLE')),
    directory: openTable(requiredEnvironment('DIRECTORY_TABLE')),
  }),
  registrar: iotRegistrar(
    new IoTClient(),
    requiredEnvironment('IOT_POLICY_NAME'),
    requiredEnvironment('IOT_THING_TYPE'),
  ),
  sign: kmsSigner(new KMSClient(), requiredEnvironment('CA_KEY_ID')),
  authorityPem: requiredEnvironment('DEVICE_CA_CERTIFICATE'),
  certificateDays: Number(requiredEnvironment('CERTIFICATE_DAYS')),
  now: systemClock,
};

const operations: ReadonlyMap<string | undefined, typeof simpleEnroll> = new Map([
  ['simpleenroll', simpleEnroll],
  ['simplereenroll', simpleReenroll],
]);

type Event = APIGatewayProxyEventV2WithRequestContext<APIGatewayEventRequestContextV2>;

/** Enrolment over Secure Transport (RFC 7030): `cacerts` and `simpleenroll` for anybody with a token, `simplereenroll` behind mutual TLS. */
export const handler = async (event: Event): Promise<APIGatewayProxyStructuredResultV2> => {
  try {
    return { ...(await answer(event)), isBase64Encoded: false };
  } catch (error) {
    const { requestId } = event.requestContext;
    logger.error('The request could not be served', { route: event.routeKey, requestId, ...describeFailure(error) });
    const answer = refusalAnswer(503, 'The request could not be served now. Ask again later.', { 'retry-after': '30' });
    return { ...answer, isBase64Encoded: false };
  }
};

async function answer(event: Event): Promise<EstAnswer> {
  const operation = event.rawPath.split('/').at(-1);
  if (operation === 'cacerts') return caCertificates(means.authorityPem);
  const serve = operations.get(operation);
  if (serve === undefined) return refusalAnswer(404, 'There is no such EST operation.');
  const { answer, log } = await serve(
    {
      authorization: event.headers['authorization'],
      clientCertificate: event.requestContext.authentication?.clientCert.clientCertPem,
      body: event.isBase64Encoded ? Buffer.from(event.body ?? '', 'base64') : (event.body ?? ''),
    },
    means,
  );
  logger.info('EST request', { operation, status: answer.statusCode, ...log });
  return answer;
}
