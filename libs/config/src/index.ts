// Configuration from the environment.
export * from './env.js';
export * from './service.js';
