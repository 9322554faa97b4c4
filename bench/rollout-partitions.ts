import { rolloutConcurrency } from '../infra/rollout-concurrency.ts';
import { executionsOfSecond } from '../shared/rollouts/pace.ts';
import type { PlayMeasured } from './rollout-play.ts';

/** What DynamoDB takes in a partition, write units a second. */
export const partitionLimit = 1_000;

/** Write units in the index for one change of an execution: out of one group and into another, in a transaction. */
const unitsOfMove = 4;

/** To make room for the way back, write units in the index: what ended moves aside, and the next takes its place. */
const unitsOfBack = 6;

/** A look at an item in a transaction, write units. */
const unitsOfCheck = 2;

/**
 * The least time of counting the devices of one wave and site, seconds: what is counted is read, then written in one
 * transaction. One function counts one wave and site after the other.
 */
const secondsOfCount = 0.014;

/** A partition, and the most that can be written to it in a second. */
export interface HotPartition {
  readonly what: string;
  readonly unitsOfSecond: number;
}

/**
 * The partitions that many devices write to, at the most that all functions at work can write there at the same moment:
 * from how many of each there are (infra/rollout-concurrency.ts), how fast each goes (shared/rollouts/pace.ts), and
 * what each write consumes, as measured.
 */
export function hotPartitions({ partitions }: PlayMeasured): HotPartition[] {
  const { progress, tick } = rolloutConcurrency;
  const changes = progress * executionsOfSecond.progress + tick * executionsOfSecond.tick;
  // Who comes was asked before, by progress or by the one look of this minute.
  const admissions = progress * executionsOfSecond.progress + executionsOfSecond.tick;
  const forward = executionsOfSecond.dispatch * partitions.indexToTell;
  const back = executionsOfSecond.back * unitsOfBack;
  const bothWays = (changes + admissions) * unitsOfMove;
  return [
    { what: 'index byRollout, one site, going forward', unitsOfSecond: forward + bothWays },
    { what: 'index byRollout, one site, going back', unitsOfSecond: back + bothWays },
    { what: 'counts of one rollout', unitsOfSecond: (progress / secondsOfCount) * partitions.rollout },
    // At worst all that come at that moment stand in units of the same part.
    { what: 'fence of a part of the units', unitsOfSecond: admissions * unitsOfCheck },
    { what: 'spares of one unit', unitsOfSecond: admissions * partitions.spares },
  ];
}
