import type { Table } from '../../shared/aws/dynamodb.ts';
import type { Publish } from '../../shared/aws/iot-publisher.ts';
import type { Surroundings } from '../../shared/devices/serve-check-in.ts';
import type { CheckInJournal } from './journal.ts';

/** What serving a check-in needs, made once for each worker. */
export interface Means {
  readonly table: Table;
  readonly surroundings: Surroundings;
  readonly publish: Publish;
  readonly journal: CheckInJournal;
}
