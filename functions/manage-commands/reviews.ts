import { AuditOutcome, auditRecord } from '../../shared/audit/record.ts';
import { keepRecord } from '../../shared/audit/store.ts';
import { type Device, DeviceClass, Lifecycle, Ownership, Platform } from '../../shared/devices/device.ts';
import { getDevice, getDevices } from '../../shared/devices/store.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { pageBody, startAfter } from '../../shared/http/page.ts';
import { problems } from '../../shared/http/problem.ts';
import { actorOf } from '../../shared/identity/caller.ts';
import { deviceResource, type Resource } from '../../shared/identity/resource.ts';
import { reviewOperations } from '../../shared/reviews/operations.ts';
import { type Review, reviewState } from '../../shared/reviews/review.ts';
import { completeReview, getReview, listReviews, reviewPartition } from '../../shared/reviews/store.ts';
import type { Services } from './services.ts';

/** The operations on reviews of what was done without a second person. */
export function reviewHandlers({ devices, directory, guard }: Services) {
  const viewOf = ({ device: _device, ...review }: Review, now: Date) => ({
    ...review,
    state: reviewState(review, now.getTime()),
  });

  const requireReview = async (path: Readonly<Record<string, string>>) => {
    const review = await getReview(directory, parameter(path, 'reviewId'));
    if (review === undefined) throw problems.notFound('There is no review with this id.');
    return { review, resource: resourceOf(review, await getDevice(devices, review.deviceId)) };
  };

  return {
    listReviews: operation(reviewOperations.listReviews, async ({ caller, query, receivedAt }) => {
      guard.assertReadsSomewhere(caller, receivedAt);
      const list = ['reviews', query.state];
      const page = await listReviews(directory, query.state, query.limit, startAfter(list, query.cursor));
      const ids = [...new Set(page.items.map(({ deviceId }) => deviceId))];
      const found = new Map((await getDevices(devices, ids)).map((device) => [device.id, device]));
      const items = page.items.filter((review) => {
        const resource = resourceOf(review, found.get(review.deviceId));
        return guard.decide(caller, 'ReadReview', resource, receivedAt).allowed;
      });
      return {
        body: pageBody(
          list,
          items.map((review) => viewOf(review, receivedAt)),
          page.after,
        ),
      };
    }),

    getReview: operation(reviewOperations.getReview, async ({ caller, path, receivedAt }) => {
      const { review, resource } = await requireReview(path);
      guard.assertMay(caller, 'ReadReview', resource, receivedAt);
      return { body: viewOf(review, receivedAt) };
    }),

    completeReview: operation(reviewOperations.completeReview, async ({ caller, path, body, receivedAt }) => {
      const { review, resource } = await requireReview(path);
      const partition = reviewPartition(review.id);
      const entry = await guard.permit(caller, 'CompleteReview', resource, partition, receivedAt);
      const actor = actorOf(caller);
      if (review.by === actor) {
        const why = 'You did it yourself; another person must review it.';
        const refused = { ...entry, outcome: AuditOutcome.Refused, reason: why, after: { reviewId: review.id } };
        await keepRecord(directory, auditRecord(partition, refused, receivedAt));
        throw problems.forbidden(why, { ruleId: 'R12' });
      }
      const completed: Review = {
        ...review,
        ...body,
        completedBy: actor,
        completedAt: receivedAt.toISOString(),
      };
      const record = { ...entry, reason: body.finding, after: { reviewId: review.id, justified: body.justified } };
      if (!(await completeReview(directory, completed, auditRecord(partition, record, receivedAt)))) {
        throw problems.conflict('The review is completed already.');
      }
      return { body: viewOf(completed, receivedAt) };
    }),
  };
}

/** What the review is about. A device that was deleted since is what it was then: its review stays to be done. */
function resourceOf({ deviceId: id, siteId, device }: Review, now: Device | undefined): Resource {
  if (now !== undefined) return deviceResource(now);
  const { platform = Platform.Iomt, class: deviceClass = DeviceClass.Other, unitId } = device ?? {};
  return deviceResource({
    id,
    platform,
    class: deviceClass,
    ownership: Ownership.Organization,
    lifecycle: Lifecycle.Revoked,
    ...(siteId === undefined ? {} : { siteId }),
    ...(unitId === undefined ? {} : { unitId }),
  });
}
