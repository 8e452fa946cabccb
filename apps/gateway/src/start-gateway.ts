// Starts one gateway: snapshot, engines, windows, heartbeat and the server; and takes them down without losing a request.
import 'reflect-metadata';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyListenOptions } from 'fastify';
import { atMost, type Clock, type Ids, type Rng, systemClock, systemIds, systemRng } from '#libs/base';
import { type KeyLimits, unlimited } from '#libs/contract';
import { DeviceWatch, freeGpuBytes, readHostMemory } from '#libs/engine';
import type { Log } from '#libs/telemetry';
import { listenAdmin } from './admin-server.js';
import { AnswerCache } from './cache/answer-cache.js';
import type { CacheSettings } from './cache/response-cache.js';
import { keyIdOf } from './completions/authorise.js';
import { Completions } from './completions/completions.js';
import { type DeadlineSettings, Deadlines } from './completions/deadlines.js';
import { HotPath } from './completions/hot-path.js';
import { DatabaseLink } from './database-link.js';
import { EmbeddingsEndpoint } from './embeddings/embeddings.js';
import { type EngineFactory, EnginePool, engineFactory } from './engines/pool.js';
import { upstreamsOnly } from './engines/upstreams-only.js';
import { frontServer, type ServerLimits, usualServerLimits } from './front-server.js';
import { GatewayModule } from './gateway.module.js';
import { GatewayState, type StateOfGateway } from './gateway-state.js';
import { KeptAnswers } from './kept-answers/kept-answers.js';
import { Limits } from './limits/limits.js';
import { Recorder } from './observe/recorder.js';
import { Reporter } from './observe/reporter.js';
import { RequestBook } from './observe/request-book.js';
import { Feedback } from './quality/feedback.js';
import { Quality } from './quality/quality.js';
import { RecentAnswers } from './quality/recent-answers.js';
import { Patience, type PatienceSettings, usualPatience } from './relay/patience.js';
import { RequestLog, type RequestLogSettings, requestLogFile } from './request-log/request-log.js';
import { RoutingFeed } from './routing/feed.js';
import { FirstAnswers } from './routing/first-answers.js';
import { snapshotFile } from './routing/snapshot.js';
import { ExchangeFiles } from './scoring/exchange-file.js';
import { Scoring } from './scoring/scoring.js';
import { PairRecorder } from './shadow/pair-recorder.js';
import type { MirrorReport } from './shadow/report.js';
import { RunningMirrors } from './shadow/running-mirrors.js';
import { Shadow } from './shadow/shadow.js';

export interface GatewayOptions {
  readonly databaseUrl: string;
  /** For LISTEN only, when `databaseUrl` leads through a transaction pooler. */
  readonly directDatabaseUrl?: string;
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  /** Keeps the routing snapshot. */
  readonly dataDir: string;
  /** Folders in which model files may lie. */
  readonly modelRoots: readonly string[];
  /** Unique among the gateways of one database, and the same after a restart. */
  readonly gatewayId: string;
  /** Other processes listen at the port too. Versions from files are refused then. */
  readonly sharesPort?: boolean;
  /** Where `/livez` and `/readyz` of this very process are answered, beside `port`. */
  readonly adminPort?: number;
  readonly log: Log;
  readonly clock?: Clock;
  readonly rng?: Rng;
  readonly ids?: Ids;
  readonly factory?: EngineFactory;
  readonly deadlines?: DeadlineSettings;
  readonly patience?: Partial<PatienceSettings>;
  readonly server?: Partial<ServerLimits>;
  /** Of keys without limits of their own; default none. */
  readonly keyLimits?: KeyLimits;
  /** Of the response cache; absent: off. */
  readonly cache?: CacheSettings;
  /** Told of each mirrored request when it has ended. */
  readonly onMirrored?: (report: MirrorReport) => void;
  /** Which units have been counted, where several processes count; default: this one alone. */
  readonly firstAnswers?: FirstAnswers;
  /** Default: none. */
  readonly requestLog?: RequestLogSettings;
  /** Pause between two looks at the routing table, default 1 s. */
  readonly pollEveryMs?: number;
}

export interface RunningGateway {
  readonly url: string;
  close(): Promise<void>;
}

const databaseSilenceMs = 5_000;
/**
 * Connections that the kernel keeps until they are accepted, as far as it allows (`net.core.somaxconn`). Node's own 511 are a quarter of a second of
 * clients that all connect anew: what comes beyond is dropped and tried again after 1, 3 and 7 s, or reset.
 */
const backlog = 4_096;
/** For the last words of what is cut. */
const cutMs = 2_000;
/** For the last windows and a goodbye. A silent database must not hold a stop until somebody kills the process. */
const farewellMs = 3_000;

/** Listens when it resolves. Postgres may be away: it then serves by its disk snapshot, or answers 503 until it has one. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { log, clock = systemClock, rng = systemRng, ids = systemIds } = options;
  const link = new DatabaseLink(options.databaseUrl, clock);
  const recorder = new Recorder({ link, clock, log, ids });
  const wake = { now: (): void => undefined };
  const devices = new DeviceWatch({ log, clock });
  const factory = options.factory ?? engineFactory(options.modelRoots, log, () => freeGpuBytes(devices.current()));
  const pool = new EnginePool({
    factory: options.sharesPort ? upstreamsOnly(factory) : factory,
    clock,
    log,
    onChange: () => wake.now(),
  });
  const limits = new Limits(options.keyLimits ?? unlimited);
  const feed = new RoutingFeed({
    listenUrl: options.directDatabaseUrl ?? options.databaseUrl,
    gatewayId: options.gatewayId,
    ...(options.pollEveryMs === undefined ? {} : { pollEveryMs: options.pollEveryMs }),
    onKnowledge: (snapshot) => limits.follow(snapshot, keyIdOf),
    file: snapshotFile(options.dataDir),
    link,
    clock,
    log,
    onTable: (table) => {
      pool.follow(table);
      shadow.follow(table);
      // The acknowledgement: "rolled back" is shown when this has arrived.
      wake.now();
    },
  });
  const reporter = new Reporter({
    link,
    clock,
    report: () => ({
      id: options.gatewayId,
      bootId: recorder.bootId,
      incarnation: feed.current?.table.incarnation ?? null,
      generation: feed.current?.table.generation ?? 0,
      engines: pool.report(),
      droppedWindows: recorder.droppedWindows + pairs.droppedWindows,
      address: null,
    }),
  });
  wake.now = () => reporter.wake();
  const deadlines = new Deadlines(clock, options.deadlines);
  const firstAnswers = options.firstAnswers ?? new FirstAnswers();
  const pairs = new PairRecorder({ link, clock, log, bootId: recorder.bootId });
  const onMirrored = (report: MirrorReport): void => {
    pairs.add(report);
    options.onMirrored?.(report);
  };
  const keptAnswers = new KeptAnswers();
  const running = new RunningMirrors(pool, clock);
  const recent = new RecentAnswers(clock);
  const quality = new Quality({ feed, pool, deadlines, keptAnswers, running, recorder, recent, clock, rng, log });
  const shadow = new Shadow({ feed, pool, deadlines, keptAnswers, running, firstAnswers, clock, log, onMirrored });
  const patience = new Patience({ ...usualPatience, ...options.patience });
  const cache = new AnswerCache(options.cache ?? null, { pool, clock });
  const book = new RequestBook();
  const requestLog = options.requestLog
    ? new RequestLog({ settings: options.requestLog, file: requestLogFile(options.dataDir), clock, rng, log })
    : null;
  const keepAnswerBytes = requestLog?.answerBytes ?? null;
  const completions = new Completions({
    feed,
    pool,
    recorder,
    book,
    deadlines,
    patience,
    limits,
    shadow,
    quality,
    cache,
    firstAnswers,
    keepAnswerBytes,
    clock,
    rng,
    log,
  });
  const embeddings = new EmbeddingsEndpoint({ feed, pool, deadlines, limits, clock });
  const files = new ExchangeFiles(join(options.dataDir, 'gateway', 'exchange'), { clock, ids });
  const scoring = new Scoring({ feed, pool, deadlines, limits, clock, files });
  const feedback = new Feedback({ feed, limits, recent, recorder, clock });
  const hot = new HotPath({ feed, completions, embeddings, scoring, feedback, book, patience, requestLog, clock, ids, log });
  let draining = false;
  const state = new GatewayState(
    async (): Promise<StateOfGateway> => ({
      ready: feed.current !== null && !draining,
      draining,
      checks: {
        gateway: options.gatewayId,
        routingTable: feed.current
          ? { generation: feed.current.table.generation, ageS: Number.isFinite(feed.ageMs) ? Math.round(feed.ageMs / 100) / 10 : null }
          : null,
        database: feed.ageMs < databaseSilenceMs,
        hints: feed.hearing ? 'listen' : 'poll',
        refusedTable: feed.refused,
        gateways: feed.current?.gateways ?? null,
        droppedWindows: recorder.droppedWindows + pairs.droppedWindows,
        inFlight: hot.inFlight,
        requestLog: requestLog?.figures() ?? null,
        requests: book.read(),
        shadow: shadow.figures(),
        quality: quality.figures(),
        feedback: feedback.figures(),
        cache: cache.figures(),
        engines: pool.report(),
        figures: pool.figures(),
        machine: { memory: await readHostMemory(), gpus: devices.current(), gpuReason: devices.reason },
      },
    }),
  );

  devices.start();
  await feed.start();
  const serverLimits = { ...usualServerLimits, ...options.server };
  const { app, otherwise } = await createApp(state, hot, serverLimits);
  let admin: Server | null = null;
  try {
    if (options.adminPort !== undefined) admin = await listenAdmin(otherwise, options.host, options.adminPort);
    const where: FastifyListenOptions & ListenOptions = {
      port: options.port,
      host: options.host,
      reusePort: options.sharesPort === true,
      backlog,
    };
    await app.listen(where);
  } catch (error) {
    admin?.close();
    await feed.close();
    await pool.close();
    await devices.stop();
    await link.close();
    throw error;
  }
  recorder.start();
  pairs.start();
  reporter.start();
  requestLog?.start();
  const address = app.getHttpServer().address() as AddressInfo;
  const url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  log.info({ url, gateway: options.gatewayId, boot: recorder.bootId }, 'gateway listens');

  const close = async (): Promise<void> => {
    draining = true;
    hot.drain();
    quality.stop();
    shadow.stop();
    const server = app.getHttpServer() as Server;
    server.close();
    server.closeIdleConnections();
    await drained(hot, serverLimits.drainMs, clock);
    // What still runs is told so; nothing of it looks like a whole answer.
    completions.stop();
    await drained(hot, cutMs, clock);
    await requestLog?.close();
    const farewell = async (): Promise<void> => {
      await feed.close();
      await recorder.close();
      await pairs.close();
      await reporter.close();
    };
    if ((await atMost(clock, farewellMs, farewell())) === 'late') log.warn('Postgres did not take the last windows in time');
    await pool.close();
    await devices.stop();
    server.closeAllConnections();
    await app.close();
    admin?.closeAllConnections();
    admin?.close();
    await link.close();
  };
  let closing: Promise<void> | null = null;
  return {
    url,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

async function drained(hot: HotPath, limitMs: number, clock: Clock): Promise<void> {
  const giveUpAtMs = clock.monotonicMs() + limitMs;
  while (hot.inFlight > 0 && clock.monotonicMs() < giveUpAtMs) await clock.sleep(20);
}

interface App {
  readonly app: NestFastifyApplication;
  /** What Nest answers: all but the hot path. */
  readonly otherwise: RequestListener;
}

async function createApp(state: GatewayState, hot: HotPath, limits: ServerLimits): Promise<App> {
  let otherwise: RequestListener | null = null;
  const adapter = new FastifyAdapter({
    serverFactory: (handler: RequestListener) => {
      otherwise = handler;
      return frontServer(hot, handler, limits);
    },
  });
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.with(state), adapter, { logger: false, abortOnError: false });
  return { app, otherwise: (request, response) => otherwise?.(request, response) };
}
