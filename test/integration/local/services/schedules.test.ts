import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  SchedulerClient,
  UpdateScheduleCommand,
} from '@aws-sdk/client-scheduler';
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { Clock, Json } from '../../../../local/cloud.ts';
import { eventsPart } from '../../../../local/services/events/part.ts';
import { schedulerPart } from '../../../../local/services/scheduler/part.ts';
import { secretsPart } from '../../../../local/services/secrets/part.ts';
import { sqsPart } from '../../../../local/services/sqs/part.ts';
import { Queues } from '../../../../local/services/sqs/queues.ts';
import { eventually, Harness } from './harness.ts';

/** A clock that moves when the test says so. */
const manualClock = (now = Date.UTC(2026, 4, 1, 12)): Clock & { set(time: number): void } => {
  const planned = new Set<{ readonly at: number; readonly run: () => void }>();
  let time = now;
  return {
    now: () => time,
    at(at, run) {
      const entry = { at, run };
      planned.add(entry);
      if (at <= time) queueMicrotask(() => planned.delete(entry) && run());
      return () => planned.delete(entry);
    },
    set(to) {
      time = to;
      for (const entry of [...planned]) if (entry.at <= time && planned.delete(entry)) entry.run();
    },
  };
};

const RoleArn = 'arn:aws:iam::000000000000:role/scheduler';

const prepare = async (data?: string, clock = manualClock()) => {
  const queues = new Queues();
  const harness = await Harness.open([sqsPart(queues), secretsPart(), schedulerPart(), eventsPart()], {
    clock,
    ...(data === undefined ? {} : { data }),
  });
  const target = await harness.create('AWS::SQS::Queue', 'Target', {});
  const dead = await harness.create('AWS::SQS::Queue', 'Dead', {});
  await harness.start();
  const bodies = (name = 'Target') =>
    harness.cloud.store.list<{ body: string }>(`sqs/message/Test-${name}`).map(({ value }) => value.body);
  return {
    harness,
    clock,
    bodies,
    targetArn: target.attributes?.['Arn'] ?? '',
    deadArn: dead.attributes?.['Arn'] ?? '',
  };
};

describe('Scheduler', () => {
  test('a one-time schedule in a time zone is delivered once and deleted', async () => {
    const { harness, clock, bodies, targetArn } = await prepare();
    const scheduler = new SchedulerClient(harness.client);
    const { ScheduleArn } = await scheduler.send(
      new CreateScheduleCommand({
        Name: 'window',
        ScheduleExpression: 'at(2026-05-01T16:00:00)',
        ScheduleExpressionTimezone: 'Europe/Berlin',
        FlexibleTimeWindow: { Mode: 'OFF' },
        ActionAfterCompletion: 'DELETE',
        Target: { Arn: targetArn, RoleArn, Input: '{"at":"<aws.scheduler.scheduled-time>"}' },
      }),
    );
    expect(ScheduleArn).toBe('arn:aws:scheduler:us-east-1:000000000000:schedule/default/window');
    expect(harness.asked.map(({ action }) => action)).toEqual(['scheduler:CreateSchedule', 'iam:PassRole']);
    clock.set(Date.UTC(2026, 4, 1, 13, 59, 59));
    expect(bodies()).toEqual([]);
    clock.set(Date.UTC(2026, 4, 1, 14));
    await eventually(() => bodies().length === 1);
    expect(bodies()).toEqual(['{"at":"2026-05-01T14:00:00Z"}']);
    const goneName = async () =>
      await scheduler.send(new GetScheduleCommand({ Name: 'window' })).then(
        () => undefined,
        (error: Error) => error.name,
      );
    let name: string | undefined;
    await eventually(() => {
      void goneName().then((value) => {
        name = value;
      });
      return name;
    });
    expect(name).toBe('ResourceNotFoundException');
    scheduler.destroy();
    await harness.close();
  });

  test('what was due many times in hours that the clock left out is delivered once, and then goes on', async () => {
    const { harness, clock, bodies, targetArn } = await prepare();
    const scheduler = new SchedulerClient(harness.client);
    await scheduler.send(
      new CreateScheduleCommand({
        Name: 'minute',
        ScheduleExpression: 'rate(1 minute)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: { Arn: targetArn, RoleArn, Input: '"<aws.scheduler.scheduled-time>"' },
      }),
    );
    const begin = clock.now();
    const times = () => bodies().map((body) => (Date.parse(JSON.parse(body) as string) - begin) / 60_000);
    clock.set(begin + 60_000);
    await eventually(() => bodies().length === 1);
    clock.set(begin + 1_440 * 60_000);
    await eventually(() => bodies().length === 2);
    clock.set(begin + 1_441 * 60_000);
    await eventually(() => bodies().length === 3);
    expect(times()).toEqual([1, 1_440, 1_441]);
    scheduler.destroy();
    await harness.close();
  });

  test('create, update, get and delete; the second of a name is a conflict', async () => {
    const { harness, clock, bodies, targetArn } = await prepare();
    const scheduler = new SchedulerClient(harness.client);
    const input = {
      Name: 's',
      ScheduleExpression: 'rate(1 hour)',
      FlexibleTimeWindow: { Mode: 'OFF' as const },
      Target: { Arn: targetArn, RoleArn, Input: '"tick"' },
    };
    await scheduler.send(new CreateScheduleCommand(input));
    await expect(scheduler.send(new CreateScheduleCommand(input))).rejects.toMatchObject({ name: 'ConflictException' });
    await scheduler.send(
      new UpdateScheduleCommand({
        ...input,
        ScheduleExpression: 'rate(2 hours)',
        EndDate: new Date(clock.now() + 5 * 3_600_000),
      }),
    );
    expect(await scheduler.send(new GetScheduleCommand({ Name: 's' }))).toMatchObject({
      ScheduleExpression: 'rate(2 hours)',
      State: 'ENABLED',
    });
    const begin = clock.now();
    for (let hour = 1; hour <= 8; hour += 1) {
      clock.set(begin + hour * 3_600_000);
      if (hour === 2 || hour === 4) await eventually(() => bodies().length === hour / 2);
    }
    // Due after 2 and 4 hours; after 5 hours it has ended.
    expect(bodies()).toEqual(['"tick"', '"tick"']);
    await scheduler.send(new DeleteScheduleCommand({ Name: 's' }));
    await expect(scheduler.send(new DeleteScheduleCommand({ Name: 's' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    for (const ScheduleExpression of ['cron(0 2 * * * *)', 'sometimes']) {
      await expect(scheduler.send(new CreateScheduleCommand({ ...input, ScheduleExpression }))).rejects.toMatchObject({
        name: 'ValidationException',
      });
    }
    scheduler.destroy();
    await harness.close();
  });

  test('what its role may not do goes to the dead-letter queue', async () => {
    const { harness, clock, bodies, targetArn, deadArn } = await prepare();
    await harness.create('AWS::Scheduler::Schedule', 'Nightly', {
      ScheduleExpression: 'cron(0 2 * * ? *)',
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: { Arn: targetArn, RoleArn, Input: '{}', DeadLetterConfig: { Arn: deadArn } },
    });
    harness.denied.add('sqs:SendMessage');
    clock.set(Date.UTC(2026, 4, 2, 2));
    await eventually(() => bodies('Dead').length === 1);
    expect(bodies()).toEqual([]);
    await harness.close();
  });

  test('what was due while nothing ran is delivered after the restart', async () => {
    const data = mkdtempSync(join(tmpdir(), 'wardline-scheduler-'));
    const schedule = (harness: Harness, targetArn: string) =>
      harness.create('AWS::Scheduler::Schedule', 'Nightly', {
        ScheduleExpression: 'cron(0 2 * * ? *)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: { Arn: targetArn, RoleArn, Input: '"night"' },
      });
    try {
      const first = await prepare(data);
      await schedule(first.harness, first.targetArn);
      await first.harness.close();
      const second = await prepare(data, manualClock(Date.UTC(2026, 4, 2, 9)));
      await schedule(second.harness, second.targetArn);
      await eventually(() => second.bodies().length === 1);
      await second.harness.close();
    } finally {
      rmSync(data, { recursive: true, force: true });
    }
  });
});

describe('Events', () => {
  const rule = (harness: Harness, properties: Record<string, Json>) =>
    harness.create('AWS::Events::Rule', 'Rule', properties);

  test('a rule with a schedule sends a scheduled event', async () => {
    const { harness, clock, bodies, targetArn } = await prepare();
    await rule(harness, { ScheduleExpression: 'rate(5 minutes)', Targets: [{ Id: 't', Arn: targetArn }] });
    await harness.start();
    clock.set(clock.now() + 300_000);
    await eventually(() => bodies().length === 1);
    expect(JSON.parse(bodies()[0] ?? '')).toMatchObject({
      source: 'aws.events',
      'detail-type': 'Scheduled Event',
      time: '2026-05-01T12:05:00Z',
    });
    await harness.close();
  });

  test('a rule with a pattern sends what matches, transformed', async () => {
    const { harness, bodies, targetArn } = await prepare();
    await harness.create('AWS::Events::EventBus', 'Bus', { Name: 'ward' });
    await rule(harness, {
      EventBusName: 'ward',
      EventPattern: { source: ['wardline'], detail: { state: ['in-use'] } },
      Targets: [
        {
          Id: 't',
          Arn: targetArn,
          InputTransformer: {
            InputPathsMap: { who: '$.detail.device' },
            InputTemplate: '{"device":<who>,"text":"device <who> is busy"}',
          },
        },
      ],
    });
    const put = (detail: Json) =>
      harness.deliver('arn:aws:events:us-east-1:000000000000:event-bus/ward', {
        source: 'wardline',
        'detail-type': 'state',
        detail,
      });
    await put({ state: 'idle', device: 'd-1' });
    await put({ state: 'in-use', device: 'd-"2"' });
    await eventually(() => bodies().length === 1);
    expect(JSON.parse(bodies()[0] ?? '')).toEqual({ device: 'd-"2"', text: 'device d-"2" is busy' });
    await harness.close();
  });
});

test('a secret is generated once, read by name and ARN, and changed with stages', async () => {
  const { harness } = await prepare();
  const secrets = new SecretsManagerClient(harness.client);
  const create = () =>
    harness.create('AWS::SecretsManager::Secret', 'Hook', {
      GenerateSecretString: {
        SecretStringTemplate: '{"user":"hook"}',
        GenerateStringKey: 'password',
        PasswordLength: 40,
        ExcludePunctuation: true,
      },
    });
  const { ref } = await create();
  const first = await secrets.send(new GetSecretValueCommand({ SecretId: ref }));
  expect(JSON.parse(first.SecretString ?? '{}')).toEqual({
    user: 'hook',
    password: expect.stringMatching(/^[A-Za-z0-9]{40}$/),
  });
  await create();
  expect((await secrets.send(new GetSecretValueCommand({ SecretId: 'Test-Hook' }))).SecretString).toBe(
    first.SecretString,
  );
  await secrets.send(new PutSecretValueCommand({ SecretId: ref, SecretString: 'new' }));
  expect((await secrets.send(new GetSecretValueCommand({ SecretId: ref }))).SecretString).toBe('new');
  expect(
    (await secrets.send(new GetSecretValueCommand({ SecretId: ref, VersionStage: 'AWSPREVIOUS' }))).SecretString,
  ).toBe(first.SecretString);
  const { VersionIdsToStages } = await secrets.send(new DescribeSecretCommand({ SecretId: ref }));
  expect(Object.values(VersionIdsToStages ?? {})).toEqual([['AWSCURRENT'], ['AWSPREVIOUS']]);
  await expect(secrets.send(new GetSecretValueCommand({ SecretId: 'none' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
  secrets.destroy();
  await harness.close();
});
