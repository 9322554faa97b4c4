import type { AwsResponse } from '../cloud.ts';
import { AwsError } from '../cloud.ts';

/** An error of IoT Core that carries further members, e.g. `resourceArn` of what exists already. */
export class IotError extends AwsError {
  readonly members: Readonly<Record<string, string>>;
  constructor(code: string, message: string, status: number, members: Readonly<Record<string, string>> = {}) {
    super(code, message, status);
    this.name = 'IotError';
    this.members = members;
  }
}

/** The errors that the emulated operations answer, with AWS's codes and statuses. */
export const iotErrors = {
  invalid: (message: string) => new IotError('InvalidRequestException', message, 400),
  notFound: (message: string) => new IotError('ResourceNotFoundException', message, 404),
  exists: (message: string, resourceId: string, resourceArn: string) =>
    new IotError('ResourceAlreadyExistsException', message, 409, { resourceId, resourceArn }),
  certificateInvalid: (message: string) => new IotError('CertificateValidationException', message, 400),
  certificateState: (message: string) => new IotError('CertificateStateException', message, 406),
  deleteConflict: (message: string) => new IotError('DeleteConflictException', message, 409),
  versionConflict: (message: string) => new IotError('VersionConflictException', message, 409),
  limit: (message: string) => new IotError('LimitExceededException', message, 410),
  forbidden: (message: string) => new IotError('ForbiddenException', message, 403),
  timeout: (message: string) => new IotError('GatewayTimeoutException', message, 504),
  tooLarge: (message: string) => new IotError('RequestEntityTooLargeException', message, 413),
} as const;

/** REST-JSON, as both IoT services write an error. */
export function errorResponse(error: AwsError): AwsResponse {
  return {
    status: error.status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': error.code },
    body: JSON.stringify({ message: error.message, ...(error instanceof IotError ? error.members : {}) }),
  };
}
