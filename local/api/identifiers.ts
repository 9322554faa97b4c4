import { createHash } from 'node:crypto';
import type { ResourceRequest } from '../cloud.ts';

/** A stable id of ten characters, as API Gateway gives them, for a resource of the template. */
export function shortId(resource: ResourceRequest): string {
  const hash = createHash('sha256').update(`${resource.stackName}/${resource.logicalId}`).digest();
  return [...hash.subarray(0, 10)].map((byte) => 'abcdefghijklmnopqrstuvwxyz0123456789'[byte % 36]).join('');
}

/** The function's ARN in the URI of an integration or authorizer, which may be the bare ARN. */
export function functionOfUri(uri: string): string {
  if (uri.startsWith('arn:aws:lambda:')) return uri;
  const [, arn] = /^arn:aws:apigateway:[^:]+:lambda:path\/2015-03-31\/functions\/(.+)\/invocations$/.exec(uri) ?? [];
  if (arn === undefined) throw new Error(`not the URI of a function: ${uri}`);
  return arn;
}
