/** HTTP methods that the management API uses. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/**
 * One route of the management API (a REST API whose stage is `v1`). This list is the only place that says which
 * function serves what: the infrastructure wires it, the handlers route by it, and the OpenAPI document is complete
 * only if it describes each of its entries.
 */
export interface Route {
  /** Name of the operation, unique, also `operationId` in OpenAPI. */
  readonly operation: string;
  readonly method: Method;
  /** Path below the stage, in the form of API Gateway and OpenAPI: `/sites/{siteId}`. */
  readonly path: string;
  /** The folder of `functions/` that serves it. */
  readonly function: ManagementFunction;
  /** Without sign-in. Everything else passes the Lambda authorizer. */
  readonly public?: true;
}

/** The functions behind the management API. */
export type ManagementFunction =
  | 'manage-places'
  | 'manage-enrollment'
  | 'manage-devices'
  | 'manage-commands'
  | 'manage-brake'
  | 'manage-audit'
  | 'manage-interlock'
  | 'manage-rollouts'
  | 'describe-api';

/** All routes of the management API. */
export const routes = [
  { operation: 'listSites', method: 'GET', path: '/sites', function: 'manage-places' },
  { operation: 'createSite', method: 'POST', path: '/sites', function: 'manage-places' },
  { operation: 'getSite', method: 'GET', path: '/sites/{siteId}', function: 'manage-places' },
  { operation: 'updateSite', method: 'PATCH', path: '/sites/{siteId}', function: 'manage-places' },
  { operation: 'deleteSite', method: 'DELETE', path: '/sites/{siteId}', function: 'manage-places' },
  { operation: 'listSiteAudit', method: 'GET', path: '/sites/{siteId}/audit', function: 'manage-places' },
  { operation: 'listUnits', method: 'GET', path: '/sites/{siteId}/units', function: 'manage-places' },
  { operation: 'createUnit', method: 'POST', path: '/sites/{siteId}/units', function: 'manage-places' },
  { operation: 'getUnit', method: 'GET', path: '/sites/{siteId}/units/{unitId}', function: 'manage-places' },
  { operation: 'updateUnit', method: 'PATCH', path: '/sites/{siteId}/units/{unitId}', function: 'manage-places' },
  {
    operation: 'getUnitSpares',
    method: 'GET',
    path: '/sites/{siteId}/units/{unitId}/spares',
    function: 'manage-places',
  },
  { operation: 'deleteUnit', method: 'DELETE', path: '/sites/{siteId}/units/{unitId}', function: 'manage-places' },

  { operation: 'listEnrollmentTokens', method: 'GET', path: '/enrollment-tokens', function: 'manage-enrollment' },
  { operation: 'createEnrollmentToken', method: 'POST', path: '/enrollment-tokens', function: 'manage-enrollment' },
  {
    operation: 'getEnrollmentToken',
    method: 'GET',
    path: '/enrollment-tokens/{tokenId}',
    function: 'manage-enrollment',
  },
  {
    operation: 'revokeEnrollmentToken',
    method: 'DELETE',
    path: '/enrollment-tokens/{tokenId}',
    function: 'manage-enrollment',
  },

  { operation: 'listDevices', method: 'GET', path: '/devices', function: 'manage-devices' },
  { operation: 'createDevice', method: 'POST', path: '/devices', function: 'manage-devices' },
  { operation: 'importDevices', method: 'POST', path: '/devices/import', function: 'manage-devices' },
  { operation: 'getDevice', method: 'GET', path: '/devices/{deviceId}', function: 'manage-devices' },
  { operation: 'updateDevice', method: 'PATCH', path: '/devices/{deviceId}', function: 'manage-devices' },
  { operation: 'deleteDevice', method: 'DELETE', path: '/devices/{deviceId}', function: 'manage-devices' },
  { operation: 'revokeDevice', method: 'POST', path: '/devices/{deviceId}/revoke', function: 'manage-commands' },
  { operation: 'listDeviceAudit', method: 'GET', path: '/devices/{deviceId}/audit', function: 'manage-devices' },
  { operation: 'getImport', method: 'GET', path: '/imports/{importId}', function: 'manage-devices' },
  { operation: 'getImportReport', method: 'GET', path: '/imports/{importId}/report', function: 'manage-devices' },

  { operation: 'listCommands', method: 'GET', path: '/devices/{deviceId}/commands', function: 'manage-commands' },
  { operation: 'createCommand', method: 'POST', path: '/devices/{deviceId}/commands', function: 'manage-commands' },
  {
    operation: 'getCommand',
    method: 'GET',
    path: '/devices/{deviceId}/commands/{commandId}',
    function: 'manage-commands',
  },
  {
    operation: 'cancelCommand',
    method: 'POST',
    path: '/devices/{deviceId}/commands/{commandId}/cancel',
    function: 'manage-commands',
  },

  { operation: 'createCommands', method: 'POST', path: '/commands', function: 'manage-commands' },

  { operation: 'listApprovals', method: 'GET', path: '/approvals', function: 'manage-commands' },
  { operation: 'getApproval', method: 'GET', path: '/approvals/{approvalId}', function: 'manage-commands' },
  { operation: 'approveRequest', method: 'POST', path: '/approvals/{approvalId}/approve', function: 'manage-commands' },
  { operation: 'denyRequest', method: 'POST', path: '/approvals/{approvalId}/deny', function: 'manage-commands' },
  {
    operation: 'withdrawRequest',
    method: 'POST',
    path: '/approvals/{approvalId}/withdraw',
    function: 'manage-commands',
  },
  { operation: 'listReviews', method: 'GET', path: '/reviews', function: 'manage-commands' },
  { operation: 'getReview', method: 'GET', path: '/reviews/{reviewId}', function: 'manage-commands' },
  { operation: 'completeReview', method: 'POST', path: '/reviews/{reviewId}/complete', function: 'manage-commands' },
  { operation: 'getLimits', method: 'GET', path: '/limits', function: 'manage-commands' },
  { operation: 'updateLimits', method: 'PUT', path: '/limits', function: 'manage-commands' },
  { operation: 'shadowLimits', method: 'POST', path: '/limits/shadow', function: 'manage-interlock' },
  { operation: 'listBrakes', method: 'GET', path: '/brake', function: 'manage-brake' },
  { operation: 'pullBrake', method: 'POST', path: '/brake', function: 'manage-brake' },
  { operation: 'releaseBrake', method: 'POST', path: '/brake/release', function: 'manage-brake' },

  {
    operation: 'putSignal',
    method: 'PUT',
    path: '/devices/{deviceId}/signals/{kind}',
    function: 'manage-interlock',
  },
  {
    operation: 'deleteSignal',
    method: 'DELETE',
    path: '/devices/{deviceId}/signals/{kind}',
    function: 'manage-interlock',
  },
  { operation: 'shadowInterlock', method: 'POST', path: '/interlock/shadow', function: 'manage-interlock' },

  { operation: 'listRollouts', method: 'GET', path: '/rollouts', function: 'manage-rollouts' },
  { operation: 'createRollout', method: 'POST', path: '/rollouts', function: 'manage-rollouts' },
  { operation: 'getRollout', method: 'GET', path: '/rollouts/{rolloutId}', function: 'manage-rollouts' },
  { operation: 'updateRollout', method: 'PUT', path: '/rollouts/{rolloutId}', function: 'manage-rollouts' },
  { operation: 'planRollout', method: 'POST', path: '/rollouts/{rolloutId}/plan', function: 'manage-rollouts' },
  { operation: 'getRolloutPlan', method: 'GET', path: '/rollouts/{rolloutId}/plan', function: 'manage-rollouts' },
  {
    operation: 'getSitePlan',
    method: 'GET',
    path: '/rollouts/{rolloutId}/plan/sites/{siteId}',
    function: 'manage-rollouts',
  },
  { operation: 'submitRollout', method: 'POST', path: '/rollouts/{rolloutId}/submit', function: 'manage-rollouts' },
  { operation: 'approveRollout', method: 'POST', path: '/rollouts/{rolloutId}/approve', function: 'manage-rollouts' },
  { operation: 'rejectRollout', method: 'POST', path: '/rollouts/{rolloutId}/reject', function: 'manage-rollouts' },
  { operation: 'startRollout', method: 'POST', path: '/rollouts/{rolloutId}/start', function: 'manage-rollouts' },
  { operation: 'pauseRollout', method: 'POST', path: '/rollouts/{rolloutId}/pause', function: 'manage-rollouts' },
  { operation: 'resumeRollout', method: 'POST', path: '/rollouts/{rolloutId}/resume', function: 'manage-rollouts' },
  {
    operation: 'skipRolloutSite',
    method: 'POST',
    path: '/rollouts/{rolloutId}/skip-site',
    function: 'manage-rollouts',
  },
  { operation: 'promoteWave', method: 'POST', path: '/rollouts/{rolloutId}/promote', function: 'manage-rollouts' },
  { operation: 'abortRollout', method: 'POST', path: '/rollouts/{rolloutId}/abort', function: 'manage-rollouts' },
  {
    operation: 'rollBackRollout',
    method: 'POST',
    path: '/rollouts/{rolloutId}/roll-back',
    function: 'manage-rollouts',
  },
  { operation: 'cloneRollout', method: 'POST', path: '/rollouts/{rolloutId}/clone', function: 'manage-rollouts' },
  {
    operation: 'reportSafetyEvent',
    method: 'POST',
    path: '/rollouts/{rolloutId}/safety-events',
    function: 'manage-rollouts',
  },
  {
    operation: 'listRolloutDevices',
    method: 'GET',
    path: '/rollouts/{rolloutId}/devices',
    function: 'manage-rollouts',
  },
  {
    operation: 'returnRolloutDevice',
    method: 'POST',
    path: '/rollouts/{rolloutId}/devices/{deviceId}/return',
    function: 'manage-rollouts',
  },
  {
    operation: 'listRolloutTimeline',
    method: 'GET',
    path: '/rollouts/{rolloutId}/timeline',
    function: 'manage-rollouts',
  },

  { operation: 'searchAudit', method: 'GET', path: '/audit', function: 'manage-audit' },
  { operation: 'exportAudit', method: 'GET', path: '/audit/archive', function: 'manage-audit' },

  { operation: 'describeApi', method: 'GET', path: '/openapi.json', function: 'describe-api', public: true },
] as const satisfies readonly Route[];

/** The name of an operation of the management API. */
export type Operation = (typeof routes)[number]['operation'];
