// Pure: what happens next in a rollout.
export * from './decide.js';
export * from './graph.js';
export * from './model.js';
export * from './plan.js';
export * from './replay.js';
export * from './resolve-plan.js';
export * from './table.js';
export * from './weight.js';
