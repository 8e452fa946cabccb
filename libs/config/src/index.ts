// Configuration from the environment.
export * from './env.js';
