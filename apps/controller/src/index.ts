// The control plane: registry, rollouts, reconcile loop, admin API.
export { ControllerModule } from './controller.module.js';
export { ControllerSettings } from './core.js';
export { EvidenceGatherer, type Look } from './evidence.js';
export { OutboxWorker } from './outbox/outbox-worker.js';
export { type LookResult, Reconciler } from './reconciler.js';
export { RolloutDesk } from './rollout-desk.js';
export { type ControllerOptions, type RunningController, startController } from './start-controller.js';
export type { ControlDatabase, ControlStores, EndpointStore, Port } from './stores.js';
export { Ticker } from './ticker.js';
