import { join } from 'node:path';
import type { AwsService, Cloud, Part } from '../../cloud.ts';
import { jsonError } from '../protocol/json.ts';
import { DynamoDbLocal } from './server.ts';
import { dynamoDbService } from './service.ts';
import { TableRegistry, tableResources } from './tables.ts';
import type { DynamoDbClient } from './wire.ts';

/** DynamoDB with its tables, as other parts of this folder use it. */
export class DynamoDb {
  #server: DynamoDbLocal | undefined;
  #service: AwsService | undefined;
  #tables: TableRegistry | undefined;
  #ready: Promise<void> = Promise.resolve();
  readonly #listeners = new Set<(table: string) => void>();

  /** The client of the running DynamoDB Local. */
  get client(): DynamoDbClient {
    if (this.#server === undefined) throw new Error('DynamoDB Local has not been started');
    return this.#server.client;
  }

  /** Calls `run` after each successful write to any table, with the table's name; returns how to end that. */
  onChange(run: (table: string) => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  /** The part of the local cloud. */
  part(): Part {
    const service = (): AwsService => {
      if (this.#service === undefined) throw new Error('DynamoDB Local has not been started');
      return this.#service;
    };
    return {
      name: 'dynamodb',
      services: [
        {
          signingNames: ['dynamodb'],
          resolve: (request) => service().resolve(request),
          error: (error) => jsonError(error, '1.0'),
        },
      ],
      resources: tableResources(async () => {
        await this.#ready;
        if (this.#tables === undefined) throw new Error('DynamoDB Local has not been started');
        return this.#tables;
      }),
      attach: (cloud) => this.#attach(cloud),
      start: () => this.#ready,
      stop: async () => {
        await this.#server?.stop();
        this.#server = undefined;
      },
    };
  }

  async #attach(cloud: Cloud): Promise<void> {
    const folder = cloud.data === undefined ? undefined : join(cloud.data, 'dynamodb');
    const server = await DynamoDbLocal.start(cloud.ports.dynamodb, folder);
    this.#server = server;
    // Java takes its seconds to start; the resources before the first table need not wait for it.
    this.#ready = server
      .ready()
      .then(() =>
        server.onDeath((output) =>
          cloud.log.warn(
            `DynamoDB Local ended by itself; stop and start the local cloud again${output === '' ? '' : `: ${output}`}`,
          ),
        ),
      );
    // Whoever needs it first reports the failure; until then it is not an unhandled rejection.
    this.#ready.catch(() => undefined);
    this.#tables = new TableRegistry(cloud, server.client);
    this.#service = dynamoDbService(cloud, server.client, this.#tables, (tables) => {
      for (const listener of this.#listeners) for (const table of tables) listener(table);
    });
  }
}
