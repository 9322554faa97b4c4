import type { AwsResponse } from '../cloud.ts';
import type { RunningClock } from '../runtime/clock.ts';
import { type FaultPlan, parseFaultPlan } from './faults.ts';
import type { ControlRoute } from './server.ts';

/** `/_wardline/faults`: GET shows the fault plan with its hits, PUT replaces it, DELETE empties it. */
export function faultControl(plan: FaultPlan): ControlRoute {
  return (request) => {
    if (request.path !== '/_wardline/faults') return undefined;
    if (request.method === 'PUT') {
      try {
        plan.set(parseFaultPlan(request.body.toString()));
      } catch (error) {
        return json(400, { message: error instanceof Error ? error.message : String(error) });
      }
    } else if (request.method === 'DELETE') {
      plan.set([]);
    } else if (request.method !== 'GET') {
      return json(405, { message: 'GET, PUT or DELETE' });
    }
    return json(200, plan.rules);
  };
}

/**
 * `/_wardline/clock`: GET shows the cloud's time and speed; PUT `{"speed": N}` goes on from now at that speed, PUT
 * `{"skip": S}` leaves out S seconds.
 */
export function clockControl(clock: RunningClock): ControlRoute {
  return (request) => {
    if (request.path !== '/_wardline/clock') return undefined;
    if (request.method === 'PUT') {
      const { speed, skip } = clockChange(request.body.toString());
      if (speed !== undefined) clock.setSpeed(speed);
      else if (skip !== undefined) clock.skip(skip * 1_000);
      else return json(400, { message: '{"speed": N} with N above 0, at most 10000; or {"skip": seconds}' });
    } else if (request.method !== 'GET') {
      return json(405, { message: 'GET or PUT' });
    }
    return json(200, { now: new Date(clock.now()).toISOString(), speed: clock.speed });
  };
}

function clockChange(text: string): { readonly speed?: number; readonly skip?: number } {
  try {
    const { speed, skip } = JSON.parse(text) as { speed?: unknown; skip?: unknown };
    if (typeof speed === 'number' && speed > 0 && speed <= 10_000) return { speed };
    return typeof skip === 'number' && skip > 0 && Number.isFinite(skip) ? { skip } : {};
  } catch {
    // The answer to what cannot be read says what can.
    return {};
  }
}

function json(status: number, body: unknown): AwsResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
