// The environment of a gateway, read once by the parent and by each of its processes.
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import { z } from 'zod';
import { readEnv } from '#libs/config';
import { createLog, type Log } from '#libs/telemetry';
import type { GatewayOptions } from './start-gateway.js';

const limit = z.coerce.number().int().min(1).max(1_000_000_000).optional();
const port = z.coerce.number().int().min(0).max(65_535);
export const mostProcesses = 64;

/** How requests are served, wherever the gateway runs. */
export const servingEnv = {
  DIRECT_DATABASE_URL: z.string().min(1).optional(),
  SERIN_KEY_REQUESTS_PER_MINUTE: limit,
  SERIN_KEY_TOKENS_PER_MINUTE: limit,
  SERIN_KEY_CONCURRENT_REQUESTS: limit,
  SERIN_REQUEST_LOG: z.coerce.number().min(0).max(1).optional(),
  SERIN_REQUEST_LOG_BODIES: z.enum(['true', 'false']).default('false'),
  SERIN_REQUEST_LOG_MB: z.coerce.number().int().min(128).max(1_048_576).default(256),
  /** Of the response cache; 0: off. */
  SERIN_CACHE_MB: z.coerce.number().min(0).max(65_536).default(0),
  SERIN_CACHE_TTL_S: z.coerce.number().int().min(1).max(604_800).default(3_600),
} as const;

const serving = z.object(servingEnv);

const schema = z.object({
  DATABASE_URL: z.string().min(1),
  SERIN_HOST: z.string().min(1).default('127.0.0.1'),
  SERIN_GATEWAY_PORT: port.default(8080),
  SERIN_GATEWAY_PROCESSES: z
    .union([z.literal('auto'), z.coerce.number().int().min(1).max(mostProcesses)], {
      error: `must be a whole number from 1 to ${mostProcesses}, or auto`,
    })
    .default(1),
  SERIN_GATEWAY_ADMIN_PORT: z.coerce
    .number()
    .int()
    .min(1)
    .max(65_536 - mostProcesses)
    .optional(),
  SERIN_GATEWAY_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,123}$/, 'must be at most 124 letters, digits, dots, dashes and underscores')
    .optional(),
  SERIN_DATA_DIR: z.string().min(1).default('./data'),
  SERIN_MODEL_ROOTS: z.string().min(1).optional(),
  ...servingEnv,
  SERIN_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export type GatewaySettings = z.infer<typeof schema>;

/** Throws ConfigError that names every bad variable. */
export function readSettings(env: NodeJS.ProcessEnv): GatewaySettings {
  return readEnv(schema, env);
}

export function gatewayLog({ SERIN_LOG_LEVEL }: GatewaySettings): Log {
  return createLog('gateway', SERIN_LOG_LEVEL);
}

export function servingOptions(
  env: z.infer<typeof serving>,
): Pick<GatewayOptions, 'directDatabaseUrl' | 'keyLimits' | 'requestLog' | 'cache'> {
  const { SERIN_CACHE_MB: cacheMb, SERIN_CACHE_TTL_S: ttlS } = env;
  const share = env.SERIN_REQUEST_LOG;
  return {
    ...(env.DIRECT_DATABASE_URL === undefined ? {} : { directDatabaseUrl: env.DIRECT_DATABASE_URL }),
    keyLimits: {
      requestsPerMinute: env.SERIN_KEY_REQUESTS_PER_MINUTE ?? null,
      tokensPerMinute: env.SERIN_KEY_TOKENS_PER_MINUTE ?? null,
      concurrentRequests: env.SERIN_KEY_CONCURRENT_REQUESTS ?? null,
    },
    ...(share === undefined
      ? {}
      : { requestLog: { share, bodies: env.SERIN_REQUEST_LOG_BODIES === 'true', mostBytes: env.SERIN_REQUEST_LOG_MB * 1_048_576 } }),
    ...(cacheMb === 0 ? {} : { cache: { bytes: cacheMb * 1_048_576, ttlMs: ttlS * 1_000 } }),
  };
}

/** A gateway that is one process. */
export function gatewayOptions(env: GatewaySettings): GatewayOptions {
  return {
    databaseUrl: env.DATABASE_URL,
    ...servingOptions(env),
    host: env.SERIN_HOST,
    port: env.SERIN_GATEWAY_PORT,
    ...(env.SERIN_GATEWAY_ADMIN_PORT === undefined ? {} : { adminPort: env.SERIN_GATEWAY_ADMIN_PORT }),
    dataDir: env.SERIN_DATA_DIR,
    modelRoots: env.SERIN_MODEL_ROOTS?.split(delimiter) ?? [join(env.SERIN_DATA_DIR, 'models')],
    gatewayId: env.SERIN_GATEWAY_ID ?? hostname(),
    log: gatewayLog(env),
  };
}

/** The same as one of several processes on `port`: a name, a folder and an admin port of its own. `place` counts from 1. */
export function gatewayOptionsAt(env: GatewaySettings, place: number, port: number): GatewayOptions {
  const alone = gatewayOptions(env);
  return {
    ...alone,
    port,
    sharesPort: true,
    ...(alone.adminPort === undefined ? {} : { adminPort: alone.adminPort + place - 1 }),
    dataDir: join(alone.dataDir, 'processes', String(place)),
    gatewayId: `${alone.gatewayId}.${place}`,
    log: alone.log.child({ process: place }),
  };
}
