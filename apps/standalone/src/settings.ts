// What can be set from outside when Serin runs as one process, with the defaults that `npm start` uses.
import { delimiter, resolve } from 'node:path';
import { z } from 'zod';
import { servingEnv, servingOptions } from '#apps/gateway';
import { isNetwork } from '#libs/alerts';
import { readEnv } from '#libs/config';

const port = (otherwise: number) => z.coerce.number().int().min(0).max(65_535).default(otherwise);

const environment = z.object({
  DATABASE_URL: z.string().min(1).optional(),
  SERIN_DATA_DIR: z.string().min(1).default('./data'),
  SERIN_HOST: z.string().min(1).default('127.0.0.1'),
  SERIN_GATEWAY_PORT: port(8080),
  SERIN_GATEWAY_PROCESSES: z.literal('1', 'must be 1: all of Serin is one process here. Run the gateway apart for several').optional(),
  ...servingEnv,
  SERIN_CONTROLLER_PORT: port(3000),
  SERIN_EVALUATOR_PORT: port(8090),
  SERIN_MODEL_ROOTS: z.string().min(1).optional(),
  SERIN_SECRET_KEY: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits (openssl rand -hex 32)')
    .optional(),
  SERIN_WEBHOOK_ALLOW_CIDRS: z
    .string()
    .default('')
    .transform((list) =>
      list
        .split(',')
        .map((cidr) => cidr.trim())
        .filter((cidr) => cidr !== ''),
    )
    .refine((cidrs) => cidrs.every(isNetwork), 'must be networks such as 10.0.0.0/8, separated by commas'),
  SERIN_MAX_ROLLOUTS: z.coerce.number().int().min(1).max(100_000).default(1_000),
  SERIN_KEEP_WINDOWS_DAYS: z.coerce.number().int().min(8).max(3650).default(35),
  SERIN_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

const schema = environment.refine((env) => env.DIRECT_DATABASE_URL === undefined || env.DATABASE_URL !== undefined, {
  path: ['DIRECT_DATABASE_URL'],
  message: 'leads to the Postgres of DATABASE_URL, which is not set: leave it out for the embedded one',
});

export interface Settings {
  readonly databaseUrl: string | null;
  readonly dataDir: string;
  readonly host: string;
  readonly gatewayPort: number;
  /** Address for LISTEN, limits of keys, request log, response cache. */
  readonly serving: ReturnType<typeof servingOptions>;
  readonly controllerPort: number;
  readonly evaluatorPort: number;
  /** Null = `models/` inside the data directory. */
  readonly modelRoots: readonly string[] | null;
  readonly secretKey: string | null;
  readonly webhookAllowCidrs: readonly string[];
  /** Rollouts that may be live at once. */
  readonly maxRollouts: number;
  readonly keepWindowsDays: number;
  readonly logLevel: string;
}

/** Reads the environment once; throws ConfigError naming every bad variable. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const parsed = readEnv(schema, env);
  return {
    databaseUrl: parsed.DATABASE_URL ?? null,
    dataDir: resolve(parsed.SERIN_DATA_DIR),
    host: parsed.SERIN_HOST,
    gatewayPort: parsed.SERIN_GATEWAY_PORT,
    serving: servingOptions(parsed),
    controllerPort: parsed.SERIN_CONTROLLER_PORT,
    evaluatorPort: parsed.SERIN_EVALUATOR_PORT,
    modelRoots: parsed.SERIN_MODEL_ROOTS?.split(delimiter).map((root) => resolve(root)) ?? null,
    secretKey: parsed.SERIN_SECRET_KEY ?? null,
    maxRollouts: parsed.SERIN_MAX_ROLLOUTS,
    keepWindowsDays: parsed.SERIN_KEEP_WINDOWS_DAYS,
    webhookAllowCidrs: parsed.SERIN_WEBHOOK_ALLOW_CIDRS,
    logLevel: parsed.SERIN_LOG_LEVEL,
  };
}
