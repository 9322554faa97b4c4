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

/** `/_wardline/clock`: GET shows the cloud's time and speed, PUT `{"speed": N}` goes on from now at that speed. */
export function clockControl(clock: RunningClock): ControlRoute {
  return (request) => {
    if (request.path !== '/_wardline/clock') return undefined;
    if (request.method === 'PUT') {
      const speed = speedOf(request.body.toString());
      if (speed === undefined) return json(400, { message: '{"speed": N} with N above 0, at most 10000' });
      clock.setSpeed(speed);
    } else if (request.method !== 'GET') {
      return json(405, { message: 'GET or PUT' });
    }
    return json(200, { now: new Date(clock.now()).toISOString(), speed: clock.speed });
  };
}

function speedOf(text: string): number | undefined {
  try {
    const { speed } = JSON.parse(text) as { speed?: unknown };
    return typeof speed === 'number' && speed > 0 && speed <= 10_000 ? speed : undefined;
  } catch {
    // The answer to what cannot be read says what can.
    return undefined;
  }
}

function json(status: number, body: unknown): AwsResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
