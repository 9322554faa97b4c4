import type { AwsResponse } from '../cloud.ts';
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

function json(status: number, body: unknown): AwsResponse {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
