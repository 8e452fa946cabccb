// Postgres: the embedded server, the connection and one store per kind of row.
export * from './api-keys.store.js';
export * from './connection.js';
export * from './database.js';
export * from './digest.js';
export * from './embedded/supervisor.js';
export * from './gateways.store.js';
export * from './listen.js';
export * from './models.store.js';
export * from './rollout-events.store.js';
export * from './rollouts.store.js';
export * from './routing.store.js';
export * from './rows.js';
export * from './versions.store.js';
export * from './windows.store.js';
