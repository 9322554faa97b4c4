import type { CloudFormationCustomResourceEvent, CloudFormationCustomResourceResponse } from 'aws-lambda';

/** What the lifecycle of a custom resource came to. */
export interface CustomResourceResult {
  readonly physicalResourceId: string;
  /** What `Fn::GetAtt` finds. */
  readonly attributes: Readonly<Record<string, string>>;
}

/**
 * Serves a request for a CloudFormation custom resource and answers it by HTTP PUT to the address in the event.
 * CloudFormation waits for an answer (an hour by default), so a failure is answered too, with the sentence it shows to
 * who deploys.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html
 *
 * @throws when the answer could not be delivered: then Lambda tries the event again
 */
export async function answerCustomResource(
  event: CloudFormationCustomResourceEvent,
  serve: () => Promise<CustomResourceResult>,
): Promise<void> {
  const { StackId, RequestId, LogicalResourceId } = event;
  const common = { StackId, RequestId, LogicalResourceId };
  let answer: CloudFormationCustomResourceResponse;
  try {
    const { physicalResourceId, attributes } = await serve();
    answer = { ...common, Status: 'SUCCESS', PhysicalResourceId: physicalResourceId, Data: { ...attributes } };
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    // A failed Create must name something; CloudFormation then asks to delete it.
    const physical = 'PhysicalResourceId' in event ? event.PhysicalResourceId : `${LogicalResourceId}-failed`;
    answer = { ...common, Status: 'FAILED', Reason: reason, PhysicalResourceId: physical };
  }
  const body = Buffer.from(JSON.stringify(answer));
  // The address is a pre-signed S3 URL: its signature covers an empty content type.
  const response = await fetch(event.ResponseURL, { method: 'PUT', body, headers: { 'content-type': '' } });
  if (!response.ok) throw new Error(`CloudFormation did not take the answer: HTTP ${response.status}`);
}
