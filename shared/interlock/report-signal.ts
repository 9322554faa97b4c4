import type { AuditItem } from '../audit/record.ts';
import type { Table } from '../aws/dynamodb.ts';
import { Gate, GateEffect } from '../commands/gates/gate.ts';
import { isHeldByGate } from '../commands/life.ts';
import type { WakeDevice } from '../commands/push.ts';
import { type Queue, readQueue } from '../commands/store.ts';
import type { Device, DeviceId } from '../devices/device.ts';
import { problems } from '../http/problem.ts';
import type { PlaceOf } from '../places/facts.ts';
import { wakeTopic } from '../protocols/agent/topics.ts';
import { askInterlock, isForced } from './gate.ts';
import type { InterlockSettings } from './settings.ts';
import type { Signal, SignalKind, Signals } from './signals.ts';
import { saveSignals } from './store.ts';

/** What reporting a signal works with. */
export interface SignalMeans {
  readonly devices: Table;
  readonly placeOf: PlaceOf;
  readonly interlock: InterlockSettings;
  readonly wake: WakeDevice;
  /** Told of a wake-up that went wrong: the signal is stored, and the device comes by itself. */
  readonly wakeFailed: (deviceId: DeviceId, error: unknown) => void;
}

/** A signal about a device, or that its source no longer speaks for it. */
export interface SignalReport {
  readonly deviceId: DeviceId;
  readonly kind: SignalKind;
  /** Undefined = withdrawn. */
  readonly signal: Signal | undefined;
  /** The audit record of a signal that says something else than before. */
  readonly audit: (before: Signal | undefined) => AuditItem;
  readonly now: number;
}

/**
 * Stores a signal, unless a newer one is known. When commands of the device wait for the interlock and one of them could
 * go now, the device is woken: what it says of itself then decides. Two requests, three with a wake-up.
 *
 * @returns the signal that counts now
 * @throws ProblemError 404 for an unknown device, 503 when many sources write at the same moment
 */
export async function reportSignal(means: SignalMeans, report: SignalReport): Promise<Signal | undefined> {
  const { devices } = means;
  const { deviceId, kind, signal } = report;
  for (let tries = 0; tries < 10; tries += 1) {
    const queue = await readQueue(devices, deviceId, { consistent: true });
    const { device } = queue;
    if (device === undefined) throw problems.notFound('There is no device with this id.');
    const before = device.signals?.[kind];
    if (before !== undefined && signal !== undefined && before.at > signal.at) return before;
    if (before === undefined && signal === undefined) return undefined;
    const signals = withSignal(device.signals ?? {}, kind, signal);
    const audit = before?.state === signal?.state ? undefined : report.audit(before);
    if (await saveSignals(devices, device, signals, audit)) {
      await wakeIfFree(means, { ...device, signals }, queue.open, report.now);
      return signal;
    }
  }
  throw problems.unavailable('Too many systems report on this device at the same moment. Send it again.');
}

function withSignal(signals: Signals, kind: SignalKind, signal: Signal | undefined): Signals {
  const { [kind]: _before, ...others } = signals;
  return signal === undefined ? others : { ...others, [kind]: signal };
}

/** Wakes the device for a command that would go if the device confirmed what it said of itself last. */
async function wakeIfFree(means: SignalMeans, device: Device, open: Queue['open'], now: number): Promise<void> {
  const waiting = open.filter((command) => isHeldByGate(command) && command.history.at(-1)?.source === Gate.Interlock);
  for (const command of waiting) {
    const question = { clinicalSaidAt: now, now, settings: means.interlock, forced: isForced(command) };
    const decision = await askInterlock(command, device, means.placeOf, question);
    if (decision.effect !== GateEffect.Allow) continue;
    try {
      await means.wake(device.id, wakeTopic(device.id), { v: 1, n: device.queueSeq });
    } catch (error) {
      means.wakeFailed(device.id, error);
    }
    return;
  }
}
