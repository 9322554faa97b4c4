import type { AwsService, Cloud, Part } from '../cloud.ts';
import { Broker } from './broker.ts';
import { controlPlane } from './control-plane.ts';
import { dataPlane } from './data-plane.ts';
import { errorResponse } from './errors.ts';
import { Issuer } from './issuer.ts';
import { Provisioning } from './provisioning.ts';
import { Registry } from './registry.ts';
import { iotResources } from './resources.ts';
import { Rules } from './rules.ts';

/** AWS IoT Core as the local cloud runs it, all pieces together. */
export interface Iot {
  readonly registry: Registry;
  readonly rules: Rules;
  readonly provisioning: Provisioning;
  readonly broker: Broker;
  readonly control: AwsService;
  readonly data: AwsService;
}

/** Puts the pieces together for one cloud. */
export function createIot(cloud: Cloud): Iot {
  const registry = new Registry(cloud);
  const issuer = new Issuer(cloud);
  const rules: Rules = new Rules(cloud, (topic, payload, qos) => broker.publish({ topic, payload }, qos));
  const provisioning: Provisioning = new Provisioning(cloud, registry, issuer, (connection, topic, payload) =>
    broker.reply(connection, topic, payload),
  );
  const broker = new Broker(cloud, registry, {
    rules: (message) => rules.handle(message),
    request: (connection, topic, payload) => provisioning.request(connection, topic, payload),
  });
  return {
    registry,
    rules,
    provisioning,
    broker,
    control: controlPlane({ cloud, registry, issuer, hasTemplate: (name) => provisioning.hasTemplate(name) }),
    data: dataPlane(cloud, broker),
  };
}

/**
 * AWS IoT Core: registry, data plane, message broker, policies, topic rules, fleet provisioning and lifecycle events.
 * Not emulated: jobs, shadows, MQTT 5, WebSocket, CBOR, custom authorizers, just-in-time provisioning, fleet indexing.
 */
export function iotPart(): Part {
  let iot: Iot | undefined;
  let cloudOf: Cloud | undefined;
  const running = (): Iot => {
    if (iot === undefined) throw new Error('IoT was asked before it was attached');
    return iot;
  };
  const service = (signingNames: readonly string[], pick: (of: Iot) => AwsService): AwsService => ({
    signingNames,
    resolve: (request) => pick(running()).resolve(request),
    error: errorResponse,
  });
  return {
    name: 'iot',
    services: [service(['iot'], (of) => of.control), service(['iotdata', 'iotdevicegateway'], (of) => of.data)],
    resources: iotResources(running),
    attach(cloud) {
      cloudOf = cloud;
      iot = createIot(cloud);
    },
    async start() {
      running().provisioning.start();
      await running().broker.start(cloudOf?.ports.mqtt ?? 0);
    },
    async stop() {
      iot?.provisioning.stop();
      await iot?.broker.stop();
    },
  };
}
