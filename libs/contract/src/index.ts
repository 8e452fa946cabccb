// Serin's own HTTP contract as zod schemas, shared by server, CLI and dashboard.
export * from './api-keys.js';
export * from './evaluations.js';
export * from './limits.js';
export * from './plan.js';
export * from './price.js';
export * from './replay.js';
export * from './resources.js';
export * from './scopes.js';
export * from './version.js';
