import type { Logger } from '@aws-lambda-powertools/logger';
import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Channel } from '../../shared/devices/device.ts';
import type { Outcome } from '../../shared/devices/serve-check-in.ts';
import { describeFailure } from '../../shared/http/failure.ts';
import type { Problem } from '../../shared/http/problem.ts';

/** Logs and metrics of check-ins. */
export type CheckInJournal = ReturnType<typeof checkInJournal>;

/**
 * Only what is worth knowing is written: a check-in that brings nothing new leaves no line, since 1 KB of log each time
 * would cost a quarter of the whole check-in. Lambda and API Gateway count invocations anyway.
 */
export function checkInJournal(logger: Logger, metrics: Metrics) {
  let counted = false;
  const count = (name: string, unit: (typeof MetricUnit)[keyof typeof MetricUnit], value: number) => {
    metrics.addMetric(name, unit, value);
    counted = true;
  };
  return {
    served(deviceId: string, channel: Channel, outcome: Exclude<Outcome, { refusal: unknown }>): void {
      for (const seconds of outcome.deliveredAfterSeconds) count('CommandAge', MetricUnit.Seconds, seconds);
      if (outcome.results > 0) count('CommandResults', MetricUnit.Count, outcome.results);
      if (outcome.deliveredAfterSeconds.length > 0 || outcome.results > 0) {
        logger.info('commands', {
          deviceId,
          channel,
          delivered: outcome.deliveredAfterSeconds.length,
          results: outcome.results,
        });
      }
      if (outcome.ignoredResults > 0) {
        logger.info('results of closed or unknown commands', { deviceId, ignored: outcome.ignoredResults });
      }
    },
    /** `requestId` is the one that an HTTPS client has been told; over MQTT there is none. */
    refused(deviceId: string | undefined, channel: Channel, problem: Problem, requestId?: string): void {
      count('CheckInRefused', MetricUnit.Count, 1);
      const { type, status, reason } = problem;
      logger.warn('check-in refused', { deviceId, channel, requestId, type, status, reason });
    },
    failed(deviceId: string | undefined, channel: Channel, error: unknown, requestId?: string): void {
      count('CheckInFailed', MetricUnit.Count, 1);
      logger.error('check-in failed', { deviceId, channel, requestId, ...describeFailure(error) });
    },
    flush(): void {
      if (counted) metrics.publishStoredMetrics();
      counted = false;
    },
  };
}
