// `npm start`: gateway, controller and evaluator in one process, on an embedded Postgres unless DATABASE_URL names a real one.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startController } from '#apps/controller';
import { startEvaluator } from '#apps/evaluator';
import { startGateway } from '#apps/gateway';
import { ConfigError, runService, type Service } from '#libs/config';
import { openDatabase, startEmbeddedPostgres } from '#libs/storage';
import { createLog, type Log } from '#libs/telemetry';
import { bootstrap } from './bootstrap.js';
import { packageRoot } from './package-root.js';
import { readSettings, type Settings } from './settings.js';

type Closer = () => Promise<void>;

/** The URL of the database: the given one, or that of our own server, started and supervised here. */
async function findDatabase(settings: Settings, log: Log, closers: Closer[]): Promise<string> {
  if (settings.databaseUrl) return settings.databaseUrl;
  const postgres = await startEmbeddedPostgres({ dataDir: join(settings.dataDir, 'pg'), log, supervise: true });
  if (!postgres.ok) throw new ConfigError(`${postgres.fault.message}${postgres.fault.remedy ? `\n${postgres.fault.remedy}` : ''}`);
  closers.push(async () => await postgres.value.stop());
  return postgres.value.url;
}

async function startAll(settings: Settings, log: Log, closers: Closer[]): Promise<string[]> {
  await mkdir(settings.dataDir, { recursive: true });
  const databaseUrl = await findDatabase(settings, log, closers);
  const database = await openDatabase({ url: databaseUrl, applicationName: 'serin-standalone', poolSize: 2 });
  closers.push(async () => await database.close());
  await database.migrate();
  const credentials = await bootstrap(database, settings.dataDir, settings.secretKey);

  const modelRoots = settings.modelRoots ?? [join(settings.dataDir, 'models')];
  for (const root of modelRoots) await mkdir(root, { recursive: true });
  const gateway = await startGateway({
    ...settings.serving,
    databaseUrl,
    host: settings.host,
    port: settings.gatewayPort,
    dataDir: settings.dataDir,
    modelRoots,
    gatewayId: 'standalone',
    log: log.child({ part: 'gateway' }),
  });
  closers.push(async () => await gateway.close());
  const controllerAddress = `http://${settings.host}:${settings.controllerPort}`;
  const controller = await startController({
    databaseUrl,
    host: settings.host,
    port: settings.controllerPort,
    publicUrl: controllerAddress,
    dashboardDir: join(packageRoot(), 'dist', 'apps', 'dashboard'),
    secretKey: credentials.secretKey,
    webhookAllowCidrs: settings.webhookAllowCidrs,
    maxRollouts: settings.maxRollouts,
    keepWindowsDays: settings.keepWindowsDays,
    log: log.child({ part: 'controller' }),
  });
  closers.push(async () => await controller.close());
  const evaluator = await startEvaluator({
    databaseUrl,
    host: settings.host,
    port: settings.evaluatorPort,
    gatewayUrl: gateway.url,
    gatewayKey: credentials.evaluatorKey,
    log: log.child({ part: 'evaluator' }),
  });
  closers.push(async () => await evaluator.close());
  return [
    `gateway     ${gateway.url}/v1`,
    // Only for the person at the terminal: where output is kept, a key must not be kept with it.
    `dashboard   ${controller.url}/${process.stdout.isTTY ? `#key=${credentials.adminKey}` : '   (sign in with the admin key)'}`,
    `models in   ${modelRoots.join(', ')}`,
    `admin key   ${join(settings.dataDir, 'admin-key')}${credentials.firstStart ? ' (just made)' : ''}`,
  ];
}

async function start(): Promise<Service> {
  const settings = readSettings(process.env);
  const log = createLog('serin', settings.logLevel);
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    // Last started, first closed: the database goes after everything that still flushes into it.
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const lines = await startAll(settings, log, closers);
    process.stdout.write(`\nSerin is running.\n  ${lines.join('\n  ')}\n\n`);
    return { close };
  } catch (error) {
    await close();
    throw error;
  }
}

runService('serin', start);
