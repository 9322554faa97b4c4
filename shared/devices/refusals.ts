import { type ProblemError, problems } from '../http/problem.ts';
import type { Refusal } from './recognize.ts';

/** What a device is told when it is turned away; `reason` is the stable word for programs. */
const texts: Readonly<Record<Refusal, string>> = {
  'unknown-device': 'No device is registered under this identity.',
  'not-enrolled': 'The device is registered, but not enrolled.',
  revoked: 'The certificate of this device was revoked. It can enrol again once it was registered anew.',
  'foreign-certificate': 'This certificate is not, or no longer, the one of the device.',
};

/** The answer to a caller that is not served. */
export const refusalProblem = (reason: Refusal): ProblemError => problems.forbidden(texts[reason], { reason });
