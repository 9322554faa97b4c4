import fc from 'fast-check';
import type { Clock } from '../../../../../local/cloud.ts';
import { openStore } from '../../../../../local/runtime/store.ts';
import { Heap } from '../../../../../local/services/sqs/heap.ts';
import { Queue, type QueueSettings } from '../../../../../local/services/sqs/queue.ts';

/** A clock that moves when the test says so. */
const manualClock = (): Clock & { advance(milliseconds: number): void } => {
  let now = 1_800_000_000_000;
  const planned = new Set<{ readonly at: number; readonly run: () => void }>();
  return {
    now: () => now,
    at(at, run) {
      const entry = { at, run };
      planned.add(entry);
      return () => planned.delete(entry);
    },
    advance(milliseconds) {
      now += milliseconds;
      for (const entry of [...planned]) {
        if (entry.at > now) continue;
        planned.delete(entry);
        entry.run();
      }
    },
  };
};

const settings = (changes: Partial<QueueSettings> = {}): QueueSettings => ({
  name: 'work',
  arn: 'arn:aws:sqs:us-east-1:000000000000:work',
  url: 'http://127.0.0.1/000000000000/work',
  fifo: false,
  contentBasedDeduplication: false,
  delaySeconds: 0,
  visibilityTimeout: 30,
  retentionSeconds: 345_600,
  waitSeconds: 0,
  maximumSize: 1_048_576,
  ...changes,
});

const prepare = (changes: Partial<QueueSettings> = {}) => {
  const clock = manualClock();
  const store = openStore();
  const queues = new Map<string, Queue>();
  const open = (one: QueueSettings) => {
    const queue = new Queue(one, clock, store, (arn) => queues.get(arn));
    queues.set(one.arn, queue);
    return queue;
  };
  return { clock, store, open, queue: open(settings(changes)) };
};

const send = (
  queue: Queue,
  body: string,
  more: { group?: string; deduplicationId?: string; delaySeconds?: number } = {},
) => queue.send({ body, senderId: 'test', ...more });

const bodies = (received: ReturnType<Queue['receive']>) => received.map(({ message }) => message.body);

describe('Heap', () => {
  test('gives entries by time', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (times) => {
        const heap = new Heap<number>();
        for (const time of times) heap.push(time, time);
        const out = times.map(() => heap.pop());
        expect(out).toEqual([...times].sort((a, b) => a - b));
        expect(heap.size).toBe(0);
        expect(heap.pop()).toBeUndefined();
      }),
    );
  });
});

describe('standard queue', () => {
  test('gives messages in order and hides them until the visibility timeout is over', () => {
    const { queue, clock } = prepare();
    for (const body of ['a', 'b', 'c']) send(queue, body);
    expect(bodies(queue.receive(2))).toEqual(['a', 'b']);
    expect(bodies(queue.receive(10))).toEqual(['c']);
    expect(queue.receive(10)).toEqual([]);
    clock.advance(30_000);
    const again = queue.receive(10);
    expect(bodies(again).sort()).toEqual(['a', 'b', 'c']);
    expect(again.map(({ message }) => message.receiveCount)).toEqual([2, 2, 2]);
  });

  test('an outdated receipt handle deletes nothing', () => {
    const { queue, clock } = prepare();
    send(queue, 'a');
    const [first] = queue.receive(1);
    clock.advance(30_000);
    const [second] = queue.receive(1);
    queue.delete(first?.receiptHandle ?? '');
    expect(queue.counts().inFlight).toBe(1);
    queue.delete(second?.receiptHandle ?? '');
    expect(queue.counts()).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
  });

  test('delays, shows at once with visibility 0, forgets after the retention', () => {
    const { queue, clock } = prepare({ retentionSeconds: 100 });
    send(queue, 'late', { delaySeconds: 10 });
    expect(queue.receive(1)).toEqual([]);
    expect(queue.counts().delayed).toBe(1);
    clock.advance(10_000);
    const [received] = queue.receive(1);
    queue.changeVisibility(received?.receiptHandle ?? '', 0);
    expect(bodies(queue.receive(1))).toEqual(['late']);
    clock.advance(90_000);
    expect(queue.receive(1)).toEqual([]);
    expect(queue.counts()).toEqual({ visible: 0, inFlight: 0, delayed: 0 });
  });

  test('moves a message to the dead-letter queue after its receives, with id and age', () => {
    const deadArn = 'arn:aws:sqs:us-east-1:000000000000:dead';
    const { queue, clock, open } = prepare({ redrive: { targetArn: deadArn, maximumReceives: 2 } });
    const dead = open(settings({ name: 'dead', arn: deadArn }));
    const { messageId } = send(queue, 'poison');
    for (let turn = 0; turn < 2; turn += 1) {
      expect(bodies(queue.receive(1))).toEqual(['poison']);
      clock.advance(30_000);
    }
    send(queue, 'good');
    expect(bodies(queue.receive(1))).toEqual(['good']);
    expect(bodies(queue.receive(1))).toEqual([]);
    const [moved] = dead.receive(1);
    expect(moved?.message).toMatchObject({ id: messageId, body: 'poison', receiveCount: 3 });
    expect(queue.counts()).toEqual({ visible: 0, inFlight: 1, delayed: 0 });
  });

  test('a waiting receiver is woken by a message and by a hidden one that appears', async () => {
    const { queue, clock } = prepare();
    const forEver = queue.wait(Number.POSITIVE_INFINITY);
    send(queue, 'a');
    await forEver;
    queue.receive(1);
    const reappears = queue.wait(clock.now() + 60_000);
    clock.advance(30_000);
    await reappears;
    expect(bodies(queue.receive(1))).toEqual(['a']);
  });

  test('a restart keeps all messages and shows those that were in flight', () => {
    const { queue, open } = prepare();
    for (const body of ['a', 'b', 'c']) send(queue, body);
    const [first] = queue.receive(2);
    queue.delete(first?.receiptHandle ?? '');
    const reopened = open(settings());
    expect(bodies(reopened.receive(10))).toEqual(['b', 'c']);
  });

  test('whatever is sent, received, hidden and deleted: every message is delivered until it is deleted', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('send' as const), delay: fc.nat(20) }),
      fc.record({
        kind: fc.constant('receive' as const),
        limit: fc.integer({ min: 1, max: 10 }),
        remove: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('advance' as const), seconds: fc.nat(40) }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const { queue, clock } = prepare();
        const left = new Set<string>();
        let count = 0;
        for (const step of operations) {
          if (step.kind === 'send') {
            count += 1;
            send(queue, String(count), { delaySeconds: step.delay });
            left.add(String(count));
          } else if (step.kind === 'advance') clock.advance(step.seconds * 1000);
          else {
            for (const { message, receiptHandle } of queue.receive(step.limit)) {
              expect(left.has(message.body)).toBe(true);
              if (!step.remove) continue;
              queue.delete(receiptHandle);
              left.delete(message.body);
            }
          }
        }
        clock.advance(60_000);
        expect(new Set(bodies(queue.receive(1000)))).toEqual(left);
      }),
      { numRuns: 60 },
    );
  });
});

describe('FIFO queue', () => {
  const fifo = (changes: Partial<QueueSettings> = {}) => prepare({ fifo: true, ...changes });

  test('keeps the order of a group and holds it while a message is in flight', () => {
    const { queue } = fifo({ contentBasedDeduplication: true });
    send(queue, 'a1', { group: 'a' });
    send(queue, 'a2', { group: 'a' });
    send(queue, 'b1', { group: 'b' });
    const [first] = queue.receive(1);
    expect(first?.message.body).toBe('a1');
    expect(bodies(queue.receive(10))).toEqual(['b1']);
    queue.delete(first?.receiptHandle ?? '');
    expect(bodies(queue.receive(10))).toEqual(['a2']);
  });

  test('a message that fails comes again before the later ones of its group', () => {
    const { queue, clock } = fifo({ contentBasedDeduplication: true });
    send(queue, 'a1', { group: 'a' });
    send(queue, 'a2', { group: 'a' });
    queue.receive(10);
    clock.advance(30_000);
    expect(bodies(queue.receive(10))).toEqual(['a1', 'a2']);
  });

  test('the same deduplication id within five minutes is one message', () => {
    const { queue, clock } = fifo();
    const first = send(queue, 'a', { group: 'g', deduplicationId: 'x' });
    expect(send(queue, 'b', { group: 'g', deduplicationId: 'x' })).toEqual(first);
    clock.advance(300_001);
    send(queue, 'c', { group: 'g', deduplicationId: 'x' });
    expect(bodies(queue.receive(10))).toEqual(['a', 'c']);
  });

  test('needs a group and a deduplication id', () => {
    const { queue } = fifo();
    expect(() => send(queue, 'a')).toThrow('MessageGroupId');
    expect(() => send(queue, 'a', { group: 'g' })).toThrow('ContentBasedDeduplication');
  });
});
