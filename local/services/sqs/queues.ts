import { AwsError, type Cloud } from '../../cloud.ts';
import { Queue, type QueueSettings } from './queue.ts';

/** The queues of the local cloud. */
export class Queues {
  readonly #byName = new Map<string, Queue>();
  #cloud: Cloud | undefined;

  attach(cloud: Cloud): void {
    this.#cloud = cloud;
  }

  /** Makes a queue with what the store has of it, or gives the one that is there its new settings. */
  put(settings: QueueSettings): Queue {
    const there = this.#byName.get(settings.name);
    if (there !== undefined) {
      there.settings = settings;
      return there;
    }
    if (this.#cloud === undefined) throw new Error('SQS has not been attached');
    const queue = new Queue(settings, this.#cloud.clock, this.#cloud.store, (arn) =>
      this.#byName.get(arn.split(':').at(-1) ?? ''),
    );
    this.#byName.set(settings.name, queue);
    return queue;
  }

  /** By name, URL or ARN; AwsError `QueueDoesNotExist`. */
  find(reference: string): Queue {
    const name = reference.split(/[/:]/).at(-1) ?? '';
    const queue = this.#byName.get(name);
    if (queue === undefined) throw new AwsError('QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }

  close(): void {
    for (const queue of this.#byName.values()) queue.close();
    this.#byName.clear();
  }
}
