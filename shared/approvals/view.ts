import { commandActions } from '../identity/actions.ts';
import { type Approval, type ApprovalContent, stateOf } from './approval.ts';

/** The request as people see it. `now` in milliseconds. */
export function viewOf(approval: Approval, now: number) {
  const { content, state: _state, policyIds: _policyIds, siteIds: _siteIds, version: _version, ...rest } = approval;
  return {
    ...rest,
    state: stateOf(approval, now),
    needs: needsOf(content),
    kind: content.kind,
    deviceIds: content.kind === 'limits' ? [] : content.deviceIds,
    ...(content.kind === 'command' ? { type: content.type, parameters: content.parameters } : {}),
    ...(content.kind === 'limits' ? { limits: content.limits } : {}),
    ...(content.kind !== 'limits' && content.reason !== undefined ? { reason: content.reason } : {}),
  };
}

/** Who can be the second person, in words. */
export function needsOf(content: ApprovalContent): string {
  if (content.kind === 'limits') return 'Another administrator, with a fresh second factor.';
  return 'Another person with a fresh second factor: biomedical engineering for patient-care devices; security, site IT or an administrator for others.';
}

/** The action that whoever asks needs. */
export const requestAction = (content: Exclude<ApprovalContent, { kind: 'limits' }>) =>
  content.kind === 'revoke' ? 'RevokeDevice' : commandActions[content.type];
