import { DeleteCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import type { Table } from '../../aws/dynamodb.ts';
import { type Item, isConditionFailed } from '../../aws/errors.ts';
import { rolloutPartition, rolloutSortKeys, waitPrefix } from '../keys.ts';

/**
 * A state machine that waits for an answer. The token lets whoever has it answer: it is in no answer of the API, no log
 * and no audit record.
 */
export interface Wait {
  readonly rolloutId: string;
  /** Missing for the machine of the whole rollout. `finish` with a site: its waves are over, the rollout is not. */
  readonly siteId?: string;
  readonly step: 'window' | 'monitor' | 'hold' | 'finish' | 'back';
  readonly wave?: number;
  /** For `back`: how many devices of the site were told to go back. */
  readonly told?: number;
  readonly token: string;
  /** RFC 3339. */
  readonly since: string;
}

/** Remembers an open token; the newest of a site's step is the only one. 1 write unit. */
export async function putWait(directory: Table, wait: Wait): Promise<void> {
  await directory.client.send(new PutCommand({ TableName: directory.name, Item: { ...keyOf(wait), ...wait } }));
}

/** All open tokens of a rollout. Consistent: 1 read unit for each 4 KB. */
export async function listWaits(directory: Table, rolloutId: string): Promise<Wait[]> {
  const waits: Wait[] = [];
  let from: Item | undefined;
  do {
    const answer = await directory.client.send(
      new QueryCommand({
        TableName: directory.name,
        KeyConditionExpression: 'pk = :rollout AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':rollout': rolloutPartition(rolloutId), ':prefix': waitPrefix },
        ConsistentRead: true,
        ...(from === undefined ? {} : { ExclusiveStartKey: from }),
      }),
    );
    waits.push(...(answer.Items ?? []).map(waitOf));
    from = answer.LastEvaluatedKey;
  } while (from !== undefined);
  return waits;
}

/** Forgets a token, unless a newer one has taken its place. 1 write unit. */
export async function deleteWait(directory: Table, wait: Wait): Promise<void> {
  try {
    await directory.client.send(
      new DeleteCommand({
        TableName: directory.name,
        Key: keyOf(wait),
        ConditionExpression: '#token = :token',
        ExpressionAttributeNames: { '#token': 'token' },
        ExpressionAttributeValues: { ':token': wait.token },
      }),
    );
  } catch (error) {
    if (!isConditionFailed(error)) throw error;
  }
}

const keyOf = ({ rolloutId, siteId, step }: Wait) => ({
  pk: rolloutPartition(rolloutId),
  sk: rolloutSortKeys.wait(siteId, step),
});

/** Only this file makes such items, so their form is known. */
function waitOf(item: Item): Wait {
  const { pk: _pk, sk: _sk, ...wait } = item;
  return wait as unknown as Wait;
}
