// Starts one controller: database, HTTP server, heartbeat, listener; and closes them in the opposite order.
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Clock, type Ids, type Rng, systemClock, systemIds, systemRng } from '#libs/base';
import { Listener, openDatabase, outboxChannel } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { ControllerModule } from './controller.module.js';
import { ControllerSettings } from './core.js';
import type { Crash } from './crash.js';
import { FailoverWatch } from './failover-watch.js';
import { keepHookBodiesRaw } from './hooks/raw-body.js';
import { Housekeeper } from './housekeeper.js';
import { ProblemFilter } from './http/problem.filter.js';
import { Routes } from './http/routes.js';
import { OutboxWorker } from './outbox/outbox-worker.js';
import { StreamHub } from './stream-hub.js';
import { Ticker } from './ticker.js';
import { Watcher } from './watch/watcher.js';

export interface ControllerOptions {
  readonly databaseUrl: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Where people reach it; default: the address it listens on. */
  readonly publicUrl?: string | undefined;
  /** Folder of the built dashboard; null or missing files: only the API. */
  readonly dashboardDir: string | null;
  /** 64 hex digits. */
  readonly secretKey: string;
  readonly webhookAllowCidrs?: readonly string[] | undefined;
  /** Rollouts that may be live at once, over all models; default 1,000. */
  readonly maxRollouts?: number | undefined;
  /** Days for which windows are kept after they were written, default 35: so long ended rollouts can be decided again. Live rollouts keep theirs. */
  readonly keepWindowsDays?: number | undefined;
  readonly log: Log;
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly rng?: Rng;
  /** For tests: called where a controller may die. */
  readonly crash?: Crash;
}

export interface RunningController {
  readonly url: string;
  close(): Promise<void>;
}

const bodyLimitBytes = 1_048_576;
const testSetLimitBytes = 16 * 1_048_576;
const requestLimitMs = 30_000;

/** Listens when it resolves. The schema must be up to date: `Database.migrate` is the caller's. */
export async function startController(options: ControllerOptions): Promise<RunningController> {
  const { log, clock = systemClock, ids = systemIds, rng = systemRng } = options;
  if (!/^[0-9a-f]{64}$/.test(options.secretKey)) throw new TypeError('secretKey must be 64 lower-case hex digits');
  const quiet = new QuietLog(log, clock);
  const database = await openDatabase({
    url: options.databaseUrl,
    applicationName: 'serin-controller',
    poolSize: 12,
    onConnectionError: (error) => quiet.warn('an idle database connection was lost', error),
  });
  const settings = new ControllerSettings({
    databaseUrl: options.databaseUrl,
    host: options.host,
    port: options.port,
    publicUrl: (options.publicUrl ?? `http://${options.host}:${options.port}`).replace(/\/+$/, ''),
    dashboardDir: options.dashboardDir,
    secretKey: options.secretKey,
    keepWindowsDays: options.keepWindowsDays ?? 35,
    // An empty variable is no network, and no reason to stay down.
    maxRollouts: options.maxRollouts ?? 1_000,
    webhookAllowCidrs: (options.webhookAllowCidrs ?? []).filter((cidr) => cidr !== ''),
  });
  let app: NestFastifyApplication | null = null;
  try {
    app = await createApp({ database, settings, log, clock, ids, rng, crash: options.crash });
    await app.listen(options.port, options.host);
  } catch (error) {
    await app?.close();
    await database.close();
    throw error;
  }
  const running = app;
  const ticker = running.get(Ticker);
  const hub = running.get(StreamHub);
  const outbox = running.get(OutboxWorker);
  const housekeeper = running.get(Housekeeper);
  const failover = running.get(FailoverWatch);
  const watcher = running.get(Watcher);
  const listener = new Listener({
    url: options.databaseUrl,
    applicationName: 'serin-controller-listen',
    channels: ['serin_rollout', outboxChannel],
    onNotice: (channel) => {
      if (channel === outboxChannel) {
        outbox.wake();
        return;
      }
      ticker.wake();
      hub.wake();
    },
    clock,
  });
  listener.start();
  failover.start();
  ticker.start();
  outbox.start();
  housekeeper.start();
  watcher.start();
  const address = running.getHttpServer().address() as AddressInfo;
  const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  log.info({ url }, 'controller listens');
  let closing: Promise<void> | null = null;
  return {
    url,
    close: () => {
      closing ??= (async () => {
        await listener.close();
        await failover.close();
        await housekeeper.close();
        await watcher.close();
        await ticker.close();
        // After the ticker: what its last looks decided can still leave.
        await outbox.close();
        await hub.close();
        await running.close();
        await database.close();
      })();
      return closing;
    },
  };
}

function unsupportedMediaType(): Error {
  return Object.assign(new Error('only JSON is read here'), { statusCode: 415 });
}

async function createApp(parts: Parameters<typeof ControllerModule.with>[0]): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({ bodyLimit: bodyLimitBytes, requestTimeout: requestLimitMs, forceCloseConnections: true });
  const routes = new Routes(parts.settings.values.dashboardDir);
  const app = await NestFactory.create<NestFastifyApplication>(ControllerModule.with(parts), adapter, {
    rawBody: true,
    logger: false,
    abortOnError: false,
  });
  await routes.attach(app, adapter.getInstance());
  // Test sets come as JSON lines and are read by their own route.
  app.useBodyParser('application/x-ndjson', { bodyLimit: testSetLimitBytes }, (_request, body, done) => done(null, body.toString('utf8')));
  // The frameworks would read these by themselves, and a form that a foreign page sends must not pass for JSON.
  for (const type of ['text/plain', 'application/x-www-form-urlencoded'])
    app.useBodyParser(type, { bodyLimit: bodyLimitBytes }, (_request, _body, done) => done(unsupportedMediaType()));
  keepHookBodiesRaw(app, adapter.getInstance(), bodyLimitBytes);
  app.useGlobalFilters(new ProblemFilter(routes, parts.log, parts.clock));
  return app;
}
