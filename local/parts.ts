import { httpApiPart } from './api/http-api-part.ts';
import { restApiPart } from './api/rest-api-part.ts';
import type { Part } from './cloud.ts';
import type { CustomResources } from './cloudformation/custom-resource.ts';
import { iamPart } from './iam/part.ts';
import type { Roles } from './iam/roles.ts';
import { identityPart } from './identity/index.ts';
import { iotPart } from './iot/index.ts';
import type { LambdaService } from './lambda/functions.ts';
import { lambdaPart } from './lambda/part.ts';
import { passivePart } from './passive/part.ts';
import { serviceParts } from './services/index.ts';

/** What the parts of the local cloud itself share. */
export interface Shared {
  readonly roles: Roles;
  readonly customResources: CustomResources;
  /** Where e-mails of SNS are written, a line of JSON each; without it the log tells them. */
  readonly mailFile?: string;
  lambda(): LambdaService;
}

/** All parts of the local cloud, in the order in which they start. */
export function allParts(shared: Shared): Part[] {
  return [
    iamPart(shared.roles),
    passivePart(),
    shared.customResources.part(),
    lambdaPart(shared.lambda, shared.roles),
    ...serviceParts(shared.mailFile === undefined ? {} : { mailFile: shared.mailFile }),
    iotPart(),
    identityPart(),
    // Last, so that no request comes in before what it needs is there.
    httpApiPart(),
    restApiPart(),
  ];
}
