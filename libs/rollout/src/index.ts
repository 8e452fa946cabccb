// Pure: what happens next in a rollout.
export * from './model.js';
export * from './plan.js';
export * from './table.js';
