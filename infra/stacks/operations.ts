import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import {
  Dashboard,
  GraphWidget,
  type IMetric,
  MathExpression,
  Metric,
  Stats,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { acknowledge } from '../constructs/acknowledge.ts';
import { pascalCase } from '../constructs/pascal-case.ts';
import { RunbookAlarm, type RunbookAlarmProps } from '../constructs/runbook-alarm.ts';
import type { WardlineFunction } from '../constructs/wardline-function.ts';
import type { Settings } from '../settings.ts';
import type { AuditStack } from './audit.ts';
import type { DataStack } from './data.ts';
import type { DevicesStack } from './devices.ts';
import type { ManagementStack } from './management.ts';
import type { RolloutsStack } from './rollouts.ts';

/** What is watched. */
export interface OperationsStackProps extends StackProps {
  readonly settings: Settings;
  readonly data: DataStack;
  readonly devices: DevicesStack;
  readonly rollouts: RolloutsStack;
  readonly management: ManagementStack;
  readonly audit: AuditStack;
}

const fiveMinutes = Duration.minutes(5);

/** The dashboard, the alarms, and whom they tell. */
export class OperationsStack extends Stack {
  readonly #topic: Topic;
  readonly #prefix: string;

  constructor(scope: Construct, id: string, props: OperationsStackProps) {
    super(scope, id, props);
    const { data, devices, rollouts, management, audit, settings } = props;
    this.#prefix = settings.name;
    this.#topic = new Topic(this, 'Alarms', {
      topicName: `${settings.name}-alarms`,
      displayName: 'Wardline alarms',
      masterKey: data.operationsKey,
      enforceSSL: true,
    });
    // A topic with a policy of its own loses the default one, through which alarms could publish.
    this.#topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsOfThisAccount',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.#topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': this.account } },
      }),
    );
    if (settings.alarmEmail !== undefined) {
      const subscription = this.#topic.addSubscription(new EmailSubscription(settings.alarmEmail));
      acknowledge(subscription, {
        'Serverless-SNSRedrivePolicy':
          'SNS keeps no dead letters of e-mail; the state of every alarm stays visible in CloudWatch.',
      });
    }

    const functions = [...devices.functions, ...rollouts.functions, ...management.functions, ...audit.functions];
    const checkIn = this.#watchCheckIns();
    const commandAge = this.#watchCommands();
    for (const watched of functions) this.#watchFunction(watched);
    const deadLetters = this.#watchDeadLetters([
      devices.messageFailures,
      devices.pushFailures,
      devices.retireFailures,
      devices.wakeFailures,
      devices.presenceFailures,
      devices.forwardFailures,
      rollouts.planFailures,
      rollouts.changeFailures,
      rollouts.tickFailures,
      management.importFailures,
      audit.failures,
      management.alertFailures,
    ]);
    this.#watchSchedules();
    const lag = this.#watchLag(['device-push', 'archive-audit', 'send-alerts'], devices, rollouts);
    const forwards = this.#watchForwards();
    const machines = this.#watchRollouts(rollouts);
    const rules = this.#watchRules();
    this.#watchAudit();
    this.#watchReviews();
    const apis = this.#watchApis(devices);
    const tables = [data.devices, data.directory].map((table) => this.#watchTable(table));

    const dashboard = new Dashboard(this, 'Dashboard', {
      dashboardName: settings.name,
      defaultInterval: Duration.hours(12),
    });
    dashboard.addWidgets(
      new TextWidget({
        width: 24,
        height: 2,
        markdown:
          'Each alarm names its runbook in `docs/operations.md`. From left to right and top to bottom: do devices get through, do commands, do people.',
      }),
    );
    dashboard.addWidgets(
      graph('Check-ins', [checkIn.invocations, checkIn.refused], [checkIn.errorRate]),
      graph('Age of commands when delivered', commandAge),
      graph('Devices connected and refused', [iotMetric('Connect.Success'), iotMetric('Connect.AuthError')]),
    );
    dashboard.addWidgets(
      graph('Dead letters', deadLetters),
      graph('Lag of streams (ms) and queues (s)', lag.streams, lag.queues),
      graph('Topic rules that failed', rules),
    );
    dashboard.addWidgets(
      graph('Rollouts: executions of state machines', machines.executions, machines.failures),
      graph('Rollouts: steps and looks', machines.invocations),
      graph('Changes kept, and not yet handed on', forwards),
    );
    dashboard.addWidgets(
      ...apis.map(({ title, requests, clientErrors, serverErrors }) =>
        graph(title, [requests], [clientErrors, serverErrors]),
      ),
    );
    dashboard.addWidgets(
      graph(
        'Function errors',
        functions.map((watched) => this.#functionMetric(watched.name, 'Errors')),
      ),
      graph(
        'Function throttles',
        functions.map((watched) => this.#functionMetric(watched.name, 'Throttles')),
      ),
      graph('Table throttles', tables.flat()),
    );
    new CfnOutput(this, 'AlarmTopic', { value: this.#topic.topicArn });
  }

  #alarm(id: string, props: Omit<RunbookAlarmProps, 'topic' | 'name'>): void {
    const name = `${this.#prefix}-${id.replace(/[A-Z]/g, (letter, at: number) => `${at === 0 ? '' : '-'}${letter.toLowerCase()}`)}`;
    new RunbookAlarm(this, id, { ...props, name, topic: this.#topic });
  }

  #functionMetric(name: string, metricName: string, statistic: string = Stats.SUM, period = fiveMinutes): Metric {
    return new Metric({
      namespace: 'AWS/Lambda',
      metricName,
      dimensionsMap: { FunctionName: `${this.#prefix}-${name}` },
      statistic,
      period,
      label: name,
    });
  }

  /**
   * A check-in that fails over HTTPS is answered, so that only the function's own metric tells of it; one that ran out
   * of time is known to Lambda alone; one that fails over MQTT is known to both.
   */
  #watchCheckIns() {
    const invocations = this.#functionMetric('device-checkin', 'Invocations');
    const own = (metricName: string) =>
      new Metric({
        namespace: 'Wardline',
        metricName,
        dimensionsMap: { service: 'device-checkin' },
        statistic: Stats.SUM,
        period: fiveMinutes,
        label: metricName,
      });
    const errorRate = new MathExpression({
      expression: 'IF(invocations >= 20, 100 * MAX([FILL(failed, 0), FILL(errors, 0)]) / invocations, 0)',
      usingMetrics: {
        invocations,
        failed: own('CheckInFailed'),
        errors: this.#functionMetric('device-checkin', 'Errors'),
      },
      period: fiveMinutes,
      label: 'Failed check-ins (%)',
    });
    this.#alarm('CheckInErrors', {
      meaning: 'More than 1 % of check-ins fail: devices get no commands and their state goes stale.',
      runbook: 'check-in-errors',
      metric: errorRate,
      above: 1,
      periods: 2,
      outOf: 3,
    });
    return { invocations, refused: own('CheckInRefused'), errorRate };
  }

  /** `CommandAge` (seconds) is written by the check-in function for each command that it hands out the first time. */
  #watchCommands(): IMetric[] {
    const age = (statistic: string) =>
      new Metric({
        namespace: 'Wardline',
        metricName: 'CommandAge',
        dimensionsMap: { service: 'device-checkin' },
        statistic,
        period: fiveMinutes,
        label: statistic,
      });
    this.#alarm('CommandAge', {
      meaning: 'Half of the commands wait more than 15 minutes before a device fetches them.',
      runbook: 'command-age',
      // The median: devices that were switched off for a week are expected, and few.
      metric: age('p50'),
      above: 900,
      periods: 6,
    });
    this.#alarm('WakeUnchecked', {
      meaning: 'Devices were woken, but nobody will look whether they fetched their commands.',
      runbook: 'wake-up-checks',
      metric: new Metric({
        namespace: 'Wardline',
        metricName: 'WakeUnchecked',
        dimensionsMap: { service: 'device-push' },
        statistic: Stats.SUM,
        period: fiveMinutes,
      }),
      above: 0,
    });
    return [age('p50'), age('p95')];
  }

  #watchFunction(watched: WardlineFunction): void {
    this.#alarm(`${pascalCase(watched.name)}Errors`, {
      meaning: `The function ${watched.name} fails.`,
      runbook: 'function-errors',
      metric: this.#functionMetric(watched.name, 'Errors'),
      above: 5,
      periods: 2,
      outOf: 3,
    });
    this.#alarm(`${pascalCase(watched.name)}Throttles`, {
      meaning: `Calls of the function ${watched.name} are refused because its reserved concurrency is used up.`,
      runbook: 'function-throttles',
      metric: this.#functionMetric(watched.name, 'Throttles'),
      above: 0,
      periods: 2,
      outOf: 3,
    });
  }

  #watchDeadLetters(queues: readonly Queue[]): IMetric[] {
    return queues.map((queue) => {
      const depth = queue.metricApproximateNumberOfMessagesVisible({
        statistic: Stats.MAXIMUM,
        period: fiveMinutes,
        label: queue.node.id,
      });
      this.#alarm(`${queue.node.id}Waiting`, {
        meaning: `Something could not be processed and waits in ${queue.node.id}.`,
        runbook: 'dead-letters',
        metric: depth,
        above: 0,
      });
      return depth;
    });
  }

  #watchLag(
    streamReaders: readonly string[],
    devices: DevicesStack,
    rollouts: RolloutsStack,
  ): { streams: IMetric[]; queues: IMetric[] } {
    const streams = streamReaders.map((name) => {
      const age = this.#functionMetric(name, 'IteratorAge', Stats.MAXIMUM);
      this.#alarm(`${pascalCase(name)}Lag`, {
        meaning: `The function ${name} is more than a minute behind the changes of its table.`,
        runbook: 'stream-lag',
        metric: age,
        above: 60_000,
        periods: 2,
      });
      return age;
    });
    const age = (queue: Queue, label: string) =>
      queue.metricApproximateAgeOfOldestMessage({ statistic: Stats.MAXIMUM, period: fiveMinutes, label });
    const presence = age(devices.presenceQueue, 'presence');
    this.#alarm('PresenceLag', {
      meaning: 'Presence events wait more than 5 minutes.',
      runbook: 'queue-lag',
      metric: presence,
      above: 300,
      periods: 2,
    });
    const wakeUps = age(devices.wakeQueue, 'wake-ups');
    this.#alarm('WakeLag', {
      meaning: 'Devices that did not fetch their commands are woken again more than 15 minutes late.',
      runbook: 'wake-up-checks',
      metric: wakeUps,
      // A look is planned up to 15 minutes ahead, and CloudWatch may count that as waiting.
      above: 1_800,
      periods: 2,
    });
    const retirements = age(devices.retireQueue, 'revocations');
    this.#alarm('RetireLag', {
      meaning: 'Certificates that were revoked or replaced are still active in AWS IoT after 5 minutes.',
      runbook: 'queue-lag',
      metric: retirements,
      above: 300,
      periods: 2,
    });
    const changes = age(rollouts.changes, 'rollout changes');
    this.#alarm('RolloutChangesLag', {
      meaning: 'Results of devices reach their rollout more than 5 minutes late.',
      runbook: 'queue-lag',
      metric: changes,
      above: 300,
      periods: 2,
    });
    return { streams, queues: [presence, wakeUps, retirements, changes] };
  }

  /** `ForwardsLeft` is written each minute by `device-forward-again`, also when it is none. */
  #watchForwards(): IMetric[] {
    const metric = (service: string, metricName: string) =>
      new Metric({
        namespace: 'Wardline',
        metricName,
        dimensionsMap: { service },
        statistic: Stats.SUM,
        period: fiveMinutes,
        label: metricName,
      });
    const left = metric('device-forward-again', 'ForwardsLeft');
    this.#alarm('ForwardsLeft', {
      meaning: 'Changes of devices wait to be handed on to revocation or rollouts: their queues take no messages.',
      runbook: 'forwards-left',
      metric: left,
      above: 0,
      periods: 2,
    });
    return [metric('device-push', 'ForwardKept'), left];
  }

  #watchRollouts({ rollout, siteRollout }: RolloutsStack) {
    const metric = (machine: CfnStateMachine, metricName: string) =>
      new Metric({
        namespace: 'AWS/States',
        metricName,
        dimensionsMap: { StateMachineArn: machine.attrArn },
        statistic: Stats.SUM,
        period: fiveMinutes,
        label: `${machine === rollout ? 'rollouts' : 'sites'} ${metricName.replace('Executions', '').toLowerCase()}`,
      });
    const machines = [rollout, siteRollout];
    const ended = machines.flatMap((machine) =>
      ['ExecutionsFailed', 'ExecutionsTimedOut', 'ExecutionsAborted'].map((name) => metric(machine, name)),
    );
    this.#alarm('RolloutMachines', {
      meaning: 'A state machine of a rollout ended in the middle: its site, or all of it, is not carried on.',
      runbook: 'rollout-machines',
      metric: sumOf('ended', 'ended in the middle', ended),
      above: 0,
    });
    return {
      executions: machines.map((machine) => metric(machine, 'ExecutionsStarted')),
      failures: ended,
      invocations: [
        this.#functionMetric('rollout-tick', 'Invocations'),
        this.#functionMetric('rollout-step', 'Invocations'),
        this.#functionMetric('rollout-progress', 'Invocations'),
      ],
    };
  }

  /** A schedule that somebody switched off fails nowhere: its function is not called any more. */
  #watchSchedules(): void {
    this.#alarm('RolloutTickSilent', {
      meaning: 'Nobody has looked at the rollouts for 15 minutes: windows, deadlines and bakes do not end.',
      runbook: 'rollout-tick-silent',
      metric: this.#functionMetric('rollout-tick', 'Invocations'),
      silence: true,
      above: 0,
      periods: 3,
    });
    this.#alarm('ForwardAgainSilent', {
      meaning: 'Nobody has looked for 15 minutes whether revocations or results wait to be handed on.',
      runbook: 'forwards-left',
      metric: this.#functionMetric('device-forward-again', 'Invocations'),
      silence: true,
      above: 0,
      periods: 3,
    });
    this.#alarm('WatchReviewsSilent', {
      meaning: 'Nobody has looked for overdue reviews for three hours.',
      runbook: 'reviews-overdue',
      metric: this.#functionMetric('watch-reviews', 'Invocations', Stats.SUM, Duration.hours(1)),
      silence: true,
      above: 0,
      periods: 3,
    });
  }

  #watchReviews(): void {
    this.#alarm('ReviewsOverdue', {
      meaning: 'Somebody acted without a second person, and nobody reviewed it within 72 hours.',
      runbook: 'reviews-overdue',
      metric: new Metric({
        namespace: 'Wardline',
        metricName: 'ReviewsOverdue',
        dimensionsMap: { service: 'watch-reviews' },
        statistic: Stats.MAXIMUM,
        period: Duration.hours(1),
        label: 'ReviewsOverdue',
      }),
      above: 0,
    });
  }

  #watchAudit(): void {
    const metric = (service: string, metricName: string, period: Duration) =>
      new Metric({
        namespace: 'Wardline',
        metricName,
        dimensionsMap: { service },
        statistic: Stats.SUM,
        period,
        label: metricName,
      });
    this.#alarm('AuditTampered', {
      meaning: 'A record of the audit trail was changed or removed in its table, past every function of Wardline.',
      runbook: 'audit-tampered',
      metric: metric('archive-audit', 'AuditTampered', fiveMinutes),
      above: 0,
    });
    this.#alarm('AuditDaysOpen', {
      meaning: 'The days of the audit archive have not been looked at, closed and signed for three hours.',
      runbook: 'audit-days-open',
      metric: metric('close-audit', 'AuditDaysCurrent', Duration.hours(1)),
      silence: true,
      above: 0,
      periods: 3,
    });
  }

  #watchRules(): IMetric[] {
    // AWS documents that this metric is told apart by the type of the action, but not how SQS is spelled there.
    const failures = [
      { rule: 'wardline_checkin', actions: ['Lambda', 'LAMBDA'], id: 'CheckInRuleFailures' },
      { rule: 'wardline_presence', actions: ['Sqs', 'SQS'], id: 'PresenceRuleFailures' },
    ].map(({ rule, actions, id }) => {
      const parts = actions.map(
        (action) =>
          new Metric({
            namespace: 'AWS/IoT',
            metricName: 'Failure',
            dimensionsMap: { RuleName: rule, ActionType: action },
            statistic: Stats.SUM,
            period: fiveMinutes,
          }),
      );
      const metric = sumOf(`${id[0]?.toLowerCase()}${id.slice(1)}`, rule, parts);
      this.#alarm(id, {
        meaning: `The topic rule ${rule} could not hand over messages of devices.`,
        runbook: 'rule-failures',
        metric,
        above: 0,
        periods: 2,
        outOf: 3,
      });
      return metric;
    });
    return failures;
  }

  #watchApis(devices: DevicesStack) {
    const rest = (metricName: string, label: string) =>
      new Metric({
        namespace: 'AWS/ApiGateway',
        metricName,
        dimensionsMap: { ApiName: `${this.#prefix}-management`, Stage: 'v1' },
        statistic: Stats.SUM,
        period: fiveMinutes,
        label,
      });
    const http = (apiId: string) => (metricName: string, label: string) =>
      new Metric({
        namespace: 'AWS/ApiGateway',
        metricName,
        dimensionsMap: { ApiId: apiId, Stage: '$default' },
        statistic: Stats.SUM,
        period: fiveMinutes,
        label,
      });
    const apis = [
      // CloudWatch spells the error metrics of REST and HTTP APIs differently.
      { id: 'Management', title: 'Management API', of: rest, client: '4XXError', server: '5XXError' },
      { id: 'Enroll', title: 'Enrolment API', of: http(devices.enrollApi.api.apiId), client: '4xx', server: '5xx' },
      ...(devices.deviceApi === undefined
        ? []
        : [{ id: 'Device', title: 'Device API', of: http(devices.deviceApi.api.apiId), client: '4xx', server: '5xx' }]),
    ];
    return apis.map(({ id, title, of, client, server }) => {
      const requests = of('Count', 'requests');
      const clientErrors = percentage('refused', '4xx (%)', of(client, '4xx'), requests);
      const serverErrors = percentage('failed', '5xx (%)', of(server, '5xx'), requests);
      this.#alarm(`${id}ApiClientErrors`, {
        meaning: `More than 25 % of requests to the ${title} are refused.`,
        runbook: 'api-client-errors',
        metric: clientErrors,
        above: 25,
        periods: 3,
      });
      this.#alarm(`${id}ApiServerErrors`, {
        meaning: `More than 1 % of requests to the ${title} fail.`,
        runbook: 'api-server-errors',
        metric: serverErrors,
        above: 1,
        periods: 2,
        outOf: 3,
      });
      return { title, requests, clientErrors, serverErrors };
    });
  }

  #watchTable(table: TableV2): IMetric[] {
    const throttled = ['ReadThrottleEvents', 'WriteThrottleEvents'].map(
      (metricName) =>
        new Metric({
          namespace: 'AWS/DynamoDB',
          metricName,
          dimensionsMap: { TableName: table.tableName },
          statistic: Stats.SUM,
          period: fiveMinutes,
          label: `${table.node.id} ${metricName.startsWith('Read') ? 'reads' : 'writes'}`,
        }),
    );
    this.#alarm(`${table.node.id}TableThrottles`, {
      meaning: `DynamoDB refuses requests to the ${table.node.id} table.`,
      runbook: 'table-throttles',
      metric: sumOf('throttled', table.node.id, throttled),
      above: 0,
      periods: 2,
      outOf: 3,
    });
    return throttled;
  }
}

/**
 * The sum of metrics, each of which may say nothing: the function leaves out what is missing, the operator + would have
 * no result then.
 *
 * @param id beginning of the ids of its parts; unique within a graph
 */
function sumOf(id: string, label: string, parts: readonly IMetric[]): MathExpression {
  const names = parts.map((_, index) => `${id}${index}`);
  return new MathExpression({
    expression: `SUM([${names.join(', ')}])`,
    usingMetrics: Object.fromEntries(parts.map((part, index) => [`${id}${index}`, part])),
    period: fiveMinutes,
    label,
  });
}

/** @param id of `part` in the expression; unique within a graph */
function percentage(id: string, label: string, part: IMetric, whole: IMetric): MathExpression {
  return new MathExpression({
    // A handful of requests says nothing: below 20 in a period the share counts as none.
    expression: `IF(whole >= 20, 100 * FILL(${id}, 0) / whole, 0)`,
    usingMetrics: { [id]: part, whole },
    period: fiveMinutes,
    label,
  });
}

function iotMetric(metricName: string): Metric {
  return new Metric({
    namespace: 'AWS/IoT',
    metricName,
    dimensionsMap: { Protocol: 'MQTT' },
    statistic: Stats.SUM,
    period: fiveMinutes,
    label: metricName,
  });
}

function graph(title: string, left: readonly IMetric[], right: readonly IMetric[] = []): GraphWidget {
  return new GraphWidget({ title, left: [...left], right: [...right], width: 8, height: 6 });
}
