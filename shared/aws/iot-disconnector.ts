import {
  DeleteConnectionCommand,
  type IoTDataPlaneClient,
  ResourceNotFoundException,
} from '@aws-sdk/client-iot-data-plane';
import type { Disconnector } from '../enrollment/registrar.ts';

/** Cuts connections to AWS IoT Core; needs only `iot:DeleteConnection` on `client/*`. */
export function iotDisconnector(client: IoTDataPlaneClient): Disconnector {
  return {
    async disconnect(id) {
      try {
        // The session goes too: what lies queued in it was meant for a device that was trusted.
        await client.send(new DeleteConnectionCommand({ clientId: id, cleanSession: true }));
      } catch (error) {
        if (!(error instanceof ResourceNotFoundException)) throw error;
      }
    },
  };
}
