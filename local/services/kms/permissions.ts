import type { Cloud, Permission } from '../../cloud.ts';
import { KeyRegistry } from './keys.ts';

/**
 * What a caller of `service` needs on the customer-managed key that a resource is encrypted with. `keyName` is what the
 * template says: id, ARN or alias. Nothing for AWS's own keys (`alias/aws/...`) and for no key.
 */
export const keyPermissions = (
  cloud: Cloud,
  keyName: string | undefined,
  service: string,
  actions: readonly ('Decrypt' | 'GenerateDataKey')[],
): Permission[] => {
  if (keyName === undefined || /^(arn:[^/]*:)?alias\/aws\//.test(keyName)) return [];
  const { key } = new KeyRegistry(cloud).find(keyName);
  return actions.map((action) => ({
    action: `kms:${action}`,
    resource: key.arn,
    context: { 'kms:viaservice': `${service}.${cloud.region}.amazonaws.com` },
  }));
};
