// What the control loop reads and writes, as ports: the stores of #libs/storage in a running controller, a model of them in a simulation.
import {
  AuditStore,
  type Database,
  DeliveryStore,
  EvaluationStore,
  GatewayStore,
  LeaseStore,
  ModelStore,
  notifyRollout,
  OutboxStore,
  PairedWindowStore,
  RolloutEventStore,
  RolloutHistoryStore,
  RolloutStore,
  RoutingStore,
  TestSetStore,
  VersionStore,
  type WebhookEndpointStore,
  WindowStore,
} from '#libs/storage';

/** The public methods of a class: anything that has them will do. */
export type Port<Class> = { readonly [Method in keyof Class]: Class[Method] };

/** The database as the control loop needs it. What is behind `manager` and `tx` is known to the stores alone. */
export type ControlDatabase = Pick<Database, 'manager' | 'transaction'>;

/** All stores of the control loop. */
export interface ControlStores {
  readonly models: Port<ModelStore>;
  readonly versions: Port<VersionStore>;
  readonly testSets: Port<TestSetStore>;
  readonly rollouts: Port<RolloutStore>;
  readonly leases: Port<LeaseStore>;
  readonly events: Port<RolloutEventStore>;
  readonly history: Port<RolloutHistoryStore>;
  readonly routing: Port<RoutingStore>;
  readonly gateways: Port<GatewayStore>;
  readonly windows: Port<WindowStore>;
  readonly pairedWindows: Pick<Port<PairedWindowStore>, 'ofRollout'>;
  readonly evaluations: Port<EvaluationStore>;
  readonly audit: Port<AuditStore>;
  readonly outbox: Port<OutboxStore>;
  readonly deliveries: Port<DeliveryStore>;
  /** Tells every listener that a rollout changed: a hint. */
  readonly notify: typeof notifyRollout;
}

/** Webhook endpoints apart: they need the key that seals secrets. */
export type EndpointStore = Pick<Port<WebhookEndpointStore>, 'disable'>;

/** Injection tokens of `ControlStores` and `EndpointStore`. */
export const STORES = Symbol('Stores');
export const ENDPOINTS = Symbol('Endpoints');

/** The real ones. */
export function controlStores(): ControlStores {
  return {
    models: new ModelStore(),
    versions: new VersionStore(),
    testSets: new TestSetStore(),
    rollouts: new RolloutStore(),
    leases: new LeaseStore(),
    events: new RolloutEventStore(),
    history: new RolloutHistoryStore(),
    routing: new RoutingStore(),
    gateways: new GatewayStore(),
    windows: new WindowStore(),
    pairedWindows: new PairedWindowStore(),
    evaluations: new EvaluationStore(),
    audit: new AuditStore(),
    outbox: new OutboxStore(),
    deliveries: new DeliveryStore(),
    notify: notifyRollout,
  };
}
