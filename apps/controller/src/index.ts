// The control plane: registry, rollouts, reconcile loop, admin API.
export { ControllerModule } from './controller.module.js';
export { type ControllerOptions, type RunningController, startController } from './start-controller.js';
