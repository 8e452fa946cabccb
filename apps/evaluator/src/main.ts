// `nest start evaluator`: reads the environment, starts, and drains on SIGTERM.
import { z } from 'zod';
import { readEnv, runService, type Service } from '#libs/config';
import { openDatabase } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { startEvaluator } from './start-evaluator.js';

const schema = z.object({
  DATABASE_URL: z.string().min(1),
  SERIN_HOST: z.string().min(1).default('127.0.0.1'),
  SERIN_EVALUATOR_PORT: z.coerce.number().int().min(0).max(65_535).default(8090),
  SERIN_GATEWAY_URL: z.url({ protocol: /^https?$/ }).default('http://127.0.0.1:8080'),
  SERIN_EVALUATOR_KEY: z
    .string()
    .regex(/^sk-serin-[A-Za-z0-9_-]{43}$/, 'must be an API key with the scopes inference:invoke and inference:pin'),
  SERIN_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

async function start(): Promise<Service> {
  const env = readEnv(schema, process.env);
  const log = createLog('evaluator', env.SERIN_LOG_LEVEL);
  const database = await openDatabase({ url: env.DATABASE_URL, applicationName: 'serin-evaluator-migrate', poolSize: 1 });
  try {
    await database.migrate();
  } finally {
    await database.close();
  }
  return await startEvaluator({
    databaseUrl: env.DATABASE_URL,
    host: env.SERIN_HOST,
    port: env.SERIN_EVALUATOR_PORT,
    gatewayUrl: env.SERIN_GATEWAY_URL,
    gatewayKey: env.SERIN_EVALUATOR_KEY,
    log,
  });
}

runService('evaluator', start);
