// The control plane: registry, rollouts, reconcile loop, admin API.
export { ControllerModule } from './controller.module.js';
export { ControllerSettings } from './core.js';
export { type Crash, type CrashPoint, noCrash } from './crash.js';
export { evidenceOf, judgeOptions } from './evidence.js';
export { FailoverWatch } from './failover-watch.js';
export { LookRound, type RoundReport } from './look-round.js';
export { OutboxWorker } from './outbox/outbox-worker.js';
export { type Look, type LookResult, Reconciler } from './reconciler.js';
export { RolloutDesk } from './rollout-desk.js';
export { type Remembered, RolloutMemory, type Surroundings } from './rollout-memory.js';
export { type ControllerOptions, type RunningController, startController } from './start-controller.js';
export { type ControlDatabase, type ControlStores, controlStores, type EndpointStore, type Port } from './stores.js';
export { Ticker } from './ticker.js';
