import { prices } from './prices.ts';
import { messagesOfBatch, type PlayMeasured, playSteps, type RolloutScale, unitOfPlay } from './rollout-play.ts';

/** What is not measured but assumed; each with its reason in docs/cost.md. */
export const rolloutAssumptions = {
  /** How long a rollout is under way, days: waves, bakes and the watch at the end. */
  days: 14,
  /** Units that one look of the clock looks at, at most. */
  unitsOfLook: 400,
  /** Looks at a unit while its devices wait for their turn: a night of eight hours. */
  looksOfNight: 8 * 60,
  /** Changes of the Devices table in one batch of `device-push`. */
  changesOfBatch: 10,
  tracedShare: 0.05,
  /** Billed seconds and gigabytes of an invocation. */
  checkIn: { seconds: 0.04, gigabytes: 0.25 },
  push: { seconds: 0.1, gigabytes: 0.25 },
  progress: { seconds: 1, gigabytes: 0.5 },
  /** For a thousand devices that are told. */
  dispatch: { seconds: 15, gigabytes: 1 },
  look: { seconds: 5, gigabytes: 0.5 },
} as const;

/** One line of the bill of a whole rollout, dollars. */
export interface RolloutCostLine {
  readonly what: string;
  readonly dollars: number;
}

/** Units of DynamoDB for one device's whole way. */
export function unitsOfDevice({ steps }: Pick<PlayMeasured, 'steps'>): {
  readonly read: number;
  readonly write: number;
} {
  const sum = (unit: 'read' | 'write') => playSteps.reduce((all, step) => all + steps[step][unit], 0);
  return { read: sum('read'), write: sum('write') };
}

/** The bill of a whole rollout. @param transitions state transitions of all its machines */
export function costOfRollout(scale: RolloutScale, measured: PlayMeasured, transitions: number): RolloutCostLine[] {
  const { dynamoDb, iot, lambda, sqs, stepFunctions, xray } = prices;
  const { days, unitsOfLook, looksOfNight, changesOfBatch, tracedShare } = rolloutAssumptions;
  const { devices } = scale;
  const units = unitsOfDevice(measured);
  const looks = days * 24 * 60;
  const unitCount = devices / unitOfPlay.devices;
  const openLooks = Math.min(unitCount * looksOfNight, unitsOfLook * looks);
  const lookReads =
    looks * (measured.look + Math.min(unitsOfLook, unitCount) * measured.quietUnit) + openLooks * measured.openUnit;
  const batches = (devices * measured.messages) / messagesOfBatch;
  const pushes = (devices * measured.changes) / changesOfBatch;
  const wakeChecks = devices * measured.wakeUps;
  const invocations: readonly (readonly [number, { readonly seconds: number; readonly gigabytes: number }])[] = [
    [devices * measured.checkIns, rolloutAssumptions.checkIn],
    [pushes + wakeChecks, rolloutAssumptions.push],
    [batches, rolloutAssumptions.progress],
    [devices / 1_000 + transitions, rolloutAssumptions.dispatch],
    [looks, rolloutAssumptions.look],
  ];
  const count = invocations.reduce((sum, [times]) => sum + times, 0);
  const seconds = invocations.reduce((sum, [times, { seconds: each, gigabytes }]) => sum + times * each * gigabytes, 0);
  const perMillion = (times: number, price: number) => (times * price) / 1e6;
  return [
    { what: 'DynamoDB writes', dollars: perMillion(devices * units.write, dynamoDb.writeUnit) },
    { what: 'DynamoDB reads, for devices', dollars: perMillion(devices * units.read, dynamoDb.readUnit) },
    { what: 'DynamoDB reads, looks of the clock', dollars: perMillion(lookReads, dynamoDb.readUnit) },
    { what: 'Step Functions', dollars: perMillion(transitions, stepFunctions.transition) },
    {
      what: 'Lambda',
      dollars: perMillion(count, lambda.request) + perMillion(seconds, lambda.gigabyteSecondArm),
    },
    // A batch is sent, received and deleted; a look at a wake-up is a message by itself.
    { what: 'SQS', dollars: perMillion(batches * 3 + wakeChecks * 3, sqs.request) },
    // A wake-up and a reply are published and delivered; a check-in is a rule.
    {
      what: 'IoT messages',
      dollars: perMillion(devices * 2 * (measured.wakeUps + measured.checkIns), iot.messages[0].price),
    },
    { what: 'IoT rules', dollars: perMillion(devices * measured.checkIns, iot.ruleTrigger + iot.ruleAction) },
    { what: 'X-Ray', dollars: perMillion(count * tracedShare, xray.trace) },
  ];
}
