import { AwsError, type AwsService } from '../../cloud.ts';
import { jsonError } from './json.ts';

/** A service that exists only after `attach`; a request before that is an internal error. */
export const lateService = (signingNames: readonly string[], service: () => AwsService | undefined): AwsService => ({
  signingNames,
  resolve(request) {
    const attached = service();
    if (attached === undefined) throw new AwsError('InternalFailure', `${signingNames.join(', ')} is not running`, 500);
    return attached.resolve(request);
  },
  error: (error, request) => service()?.error(error, request) ?? jsonError(error, '1.0'),
});
