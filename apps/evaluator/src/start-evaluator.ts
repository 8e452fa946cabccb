// Starts one evaluator: database, health server, work queue; and closes them in the opposite order.
import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { type Clock, type Ids, systemClock, systemIds } from '#libs/base';
import { openDatabase } from '#libs/storage';
import type { Log } from '#libs/telemetry';
import { EvaluatorSettings } from './core.js';
import { EvaluatorModule } from './evaluator.module.js';
import { Heartbeats } from './heartbeat/heartbeats.js';
import { WorkQueue } from './work-queue.js';

export interface EvaluatorOptions {
  readonly databaseUrl: string;
  readonly host: string;
  /** 0 = any free port. Only health answers there. */
  readonly port: number;
  /** Base address of the gateway. */
  readonly gatewayUrl: string;
  /** API key with the scopes `inference:invoke` and `inference:pin`. */
  readonly gatewayKey: string;
  readonly log: Log;
  /** Requests in flight per evaluation, default 4. */
  readonly concurrency?: number;
  /** Longest time for one request, milliseconds, default 60 s. */
  readonly requestLimitMs?: number;
  /** How long the gateway may be away, or still be loading a version, before the evaluation fails; milliseconds, default 5 minutes. */
  readonly patienceMs?: number;
  readonly clock?: Clock;
  readonly ids?: Ids;
}

export interface RunningEvaluator {
  readonly url: string;
  close(): Promise<void>;
}

/** Listens and works when it resolves. The schema must be up to date: `Database.migrate` is the caller's. */
export async function startEvaluator(options: EvaluatorOptions): Promise<RunningEvaluator> {
  const { log, clock = systemClock, ids = systemIds } = options;
  const database = await openDatabase({
    url: options.databaseUrl,
    applicationName: 'serin-evaluator',
    poolSize: 6,
    onConnectionError: (error) => log.warn({ err: error }, 'an idle database connection was lost'),
  });
  const settings = new EvaluatorSettings({
    databaseUrl: options.databaseUrl,
    gatewayUrl: options.gatewayUrl.replace(/\/+$/, ''),
    gatewayKey: options.gatewayKey,
    concurrency: options.concurrency ?? 4,
    requestLimitMs: options.requestLimitMs ?? 60_000,
    patienceMs: options.patienceMs ?? 300_000,
  });
  let app: NestFastifyApplication | null = null;
  try {
    const adapter = new FastifyAdapter({ bodyLimit: 16_384, requestTimeout: 10_000, forceCloseConnections: true });
    app = await NestFactory.create<NestFastifyApplication>(EvaluatorModule.with({ database, settings, log, clock, ids }), adapter, {
      logger: false,
      abortOnError: false,
    });
    await app.listen(options.port, options.host);
    await app.get(WorkQueue).start();
    app.get(Heartbeats).start();
  } catch (error) {
    await app?.get(Heartbeats).close();
    await app?.get(WorkQueue).close();
    await app?.close();
    await database.close();
    throw error;
  }
  const running = app;
  const address = running.getHttpServer().address() as AddressInfo;
  const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  log.info({ url }, 'evaluator listens');
  let closing: Promise<void> | null = null;
  return {
    url,
    close: () => {
      closing ??= (async () => {
        await running.get(Heartbeats).close();
        await running.get(WorkQueue).close();
        await running.close();
        await database.close();
      })();
      return closing;
    },
  };
}
