// The gateway: OpenAI HTTP in, engines out, windows of observations to Postgres.
export type { EngineFactory } from './engines/pool.js';
export * from './gateway.module.js';
export { type FeedPorts, type RefusedTable, RoutingFeed } from './routing/feed.js';
export type { Knowledge } from './routing/snapshot.js';
export { servingEnv, servingOptions } from './settings.js';
export type { MirrorReport } from './shadow/report.js';
export * from './start-gateway.js';
