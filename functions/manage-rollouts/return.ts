import { setTimeout as pause } from 'node:timers/promises';
import { auditRecord } from '../../shared/audit/record.ts';
import { operation } from '../../shared/http/api.ts';
import { parameter } from '../../shared/http/operation.ts';
import { problems } from '../../shared/http/problem.ts';
import { assertAway, partOf, putBack } from '../../shared/rollouts/executions/return-device.ts';
import { rolloutPartition } from '../../shared/rollouts/keys.ts';
import { rolloutOperations } from '../../shared/rollouts/operations.ts';
import { requireRollout, resourceOf } from './access.ts';
import { deviceViewer } from './device-view.ts';
import type { Services } from './services.ts';

/** Tries while others change the same device. */
const tries = 8;

/** Putting devices back into service by hand. */
export function returnHandlers(services: Services) {
  const { devices, directory, guard } = services;
  return {
    returnRolloutDevice: operation(
      rolloutOperations.returnRolloutDevice,
      async ({ caller, path, body, receivedAt }) => {
        const rollout = await requireRollout(services, path);
        const deviceId = parameter(path, 'deviceId');
        const partition = rolloutPartition(rollout.id);
        for (let tried = 0; tried < tries; tried += 1) {
          const part = await partOf(devices, rollout, deviceId);
          // Who answers for its unit answers for the device: the other sites of the rollout do not matter.
          const selection =
            part === undefined
              ? rollout.definition.selection
              : { siteIds: [part.execution.siteId], classes: [part.execution.class] };
          const resource = resourceOf(rollout.id, { selection });
          const permit = await guard.permit(caller, 'ReturnDevice', resource, partition, receivedAt);
          if (part === undefined) throw problems.notFound('The rollout has not touched this device.');
          const { execution } = part;
          assertAway(execution);
          const { unitId, class: deviceClass, status } = execution;
          const entry = {
            ...permit,
            reason: body.reason,
            before: { outOfService: true },
            after: { deviceId, unitId, class: deviceClass, ended: status.state, outOfService: false },
          };
          const record = { Put: { TableName: directory.name, Item: auditRecord(partition, entry, receivedAt) } };
          const after = await putBack(services, part, [record], receivedAt);
          if (after !== undefined) return { body: await deviceViewer(services, rollout, receivedAt)(after) };
          await pause(Math.random() * Math.min(400, 10 * 2 ** tried));
        }
        throw problems.unavailable('The device is being changed by others at the same moment.', 1);
      },
    ),
  };
}
