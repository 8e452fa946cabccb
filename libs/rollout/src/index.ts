// Pure: what happens next in a rollout.
export * from './check-plan.js';
export { isDone } from './command.js';
export * from './decide.js';
export * from './freeze.js';
export * from './graph.js';
export * from './model.js';
export * from './plan.js';
export * from './plan-defaults.js';
export * from './replay.js';
export * from './resolve-plan.js';
export * from './table.js';
export * from './weight.js';
