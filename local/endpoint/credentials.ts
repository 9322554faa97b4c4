import type { AwsRequest } from '../cloud.ts';

/** What a signed request says about who signed it. */
export interface Scope {
  readonly accessKey: string;
  /** SigV4 signing name of the service. */
  readonly service: string;
  readonly sessionToken: string | undefined;
}

/**
 * Reads the SigV4 credential scope from the `Authorization` header or a presigned URL. The signature itself is not
 * checked: keys of the local cloud protect nothing, they only tell functions apart.
 */
export function credentialScope(request: AwsRequest): Scope | undefined {
  const header = request.headers['authorization'];
  const credential =
    header === undefined ? request.query.get('X-Amz-Credential') : /Credential=([^,\s]+)/.exec(header)?.[1];
  // <access key>/<date>/<region>/<service>/aws4_request
  const [accessKey, , , service, terminator] = credential?.split('/') ?? [];
  if (accessKey === undefined || service === undefined || terminator !== 'aws4_request') return undefined;
  const sessionToken =
    request.headers['x-amz-security-token'] ?? request.query.get('X-Amz-Security-Token') ?? undefined;
  return { accessKey, service, sessionToken };
}
