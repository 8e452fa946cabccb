// `nest start controller`: reads the environment, starts, and drains on SIGTERM.
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { isNetwork } from '#libs/alerts';
import { readEnv, runService, type Service } from '#libs/config';
import { openDatabase } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { startController } from './start-controller.js';

const schema = z.object({
  DATABASE_URL: z.string().min(1),
  SERIN_HOST: z.string().min(1).default('127.0.0.1'),
  SERIN_CONTROLLER_PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  SERIN_CONTROLLER_URL: z.url({ protocol: /^https?$/ }).optional(),
  SERIN_SECRET_KEY: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits (openssl rand -hex 32)'),
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

async function start(): Promise<Service> {
  const env = readEnv(schema, process.env);
  const log = createLog('controller', env.SERIN_LOG_LEVEL);
  const database = await openDatabase({ url: env.DATABASE_URL, applicationName: 'serin-controller-migrate', poolSize: 1 });
  try {
    await database.migrate();
  } finally {
    await database.close();
  }
  return await startController({
    databaseUrl: env.DATABASE_URL,
    host: env.SERIN_HOST,
    port: env.SERIN_CONTROLLER_PORT,
    publicUrl: env.SERIN_CONTROLLER_URL,
    dashboardDir: fileURLToPath(new URL('../../dashboard', import.meta.url)),
    secretKey: env.SERIN_SECRET_KEY,
    maxRollouts: env.SERIN_MAX_ROLLOUTS,
    keepWindowsDays: env.SERIN_KEEP_WINDOWS_DAYS,
    webhookAllowCidrs: env.SERIN_WEBHOOK_ALLOW_CIDRS,
    log,
  });
}

runService('controller', start);
