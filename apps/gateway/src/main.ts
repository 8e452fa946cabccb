// `nest start gateway`: reads the environment, starts, and drains on SIGTERM.
import { hostname } from 'node:os';
import { delimiter } from 'node:path';
import { z } from 'zod';
import { readEnv, runService, type Service } from '#libs/config';
import { createLog } from '#libs/telemetry';
import { startGateway } from './start-gateway.js';

const limit = z.coerce.number().int().min(1).max(1_000_000_000).optional();

const schema = z.object({
  DATABASE_URL: z.string().min(1),
  DIRECT_DATABASE_URL: z.string().min(1).optional(),
  SERIN_HOST: z.string().min(1).default('127.0.0.1'),
  SERIN_GATEWAY_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  SERIN_GATEWAY_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/)
    .optional(),
  SERIN_DATA_DIR: z.string().min(1).default('./data'),
  SERIN_MODEL_ROOTS: z.string().min(1).optional(),
  SERIN_KEY_REQUESTS_PER_MINUTE: limit,
  SERIN_KEY_TOKENS_PER_MINUTE: limit,
  SERIN_KEY_CONCURRENT_REQUESTS: limit,
  SERIN_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

async function start(): Promise<Service> {
  const env = readEnv(schema, process.env);
  const log = createLog('gateway', env.SERIN_LOG_LEVEL);
  return await startGateway({
    databaseUrl: env.DATABASE_URL,
    ...(env.DIRECT_DATABASE_URL === undefined ? {} : { directDatabaseUrl: env.DIRECT_DATABASE_URL }),
    keyLimits: {
      requestsPerMinute: env.SERIN_KEY_REQUESTS_PER_MINUTE ?? null,
      tokensPerMinute: env.SERIN_KEY_TOKENS_PER_MINUTE ?? null,
      concurrentRequests: env.SERIN_KEY_CONCURRENT_REQUESTS ?? null,
    },
    host: env.SERIN_HOST,
    port: env.SERIN_GATEWAY_PORT,
    dataDir: env.SERIN_DATA_DIR,
    modelRoots: env.SERIN_MODEL_ROOTS?.split(delimiter) ?? [`${env.SERIN_DATA_DIR}/models`],
    gatewayId: env.SERIN_GATEWAY_ID ?? hostname(),
    log,
  });
}

runService('gateway', start);
