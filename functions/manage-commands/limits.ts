import { operation } from '../../shared/http/api.ts';
import { organization } from '../../shared/identity/resource.ts';
import { limitOperations } from '../../shared/limits/operations.ts';
import { getLimits } from '../../shared/limits/store.ts';
import { organizationPartition } from '../../shared/places/store.ts';
import { askForApproval } from './requests.ts';
import type { Services } from './services.ts';

/** The operations on limits. */
export function limitHandlers({ directory, guard }: Services) {
  return {
    getLimits: operation(limitOperations.getLimits, async ({ caller, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt, 'ReadLimits');
      const { version: _version, ...view } = await getLimits(directory);
      return { body: view };
    }),

    updateLimits: operation(limitOperations.updateLimits, async ({ caller, body, receivedAt }) => {
      const entry = await guard.permit(caller, 'UpdateLimits', organization(), organizationPartition, receivedAt);
      const { version } = await getLimits(directory);
      const content = { kind: 'limits', limits: body, seenVersion: version } as const;
      return askForApproval(directory, { content, entry, siteIds: [], now: receivedAt });
    }),
  };
}
