// Builds the demo's stage: embedded Postgres, the three apps each in its own supervised process, a receiver for alerts, users, and v1 in service.
import { mkdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '#libs/base';
import { openDatabase, startEmbeddedPostgres } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { bootstrap } from '../bootstrap.js';
import { packageRoot } from '../package-root.js';
import { Admin } from './admin.js';
import { demoModel, demoPlan, demoTestSet, stable } from './cast.js';
import { type AppName, SupervisedProcess } from './processes.js';
import { DemoReceiver } from './receiver.js';
import type { Story } from './story.js';
import { Traffic } from './traffic.js';

export interface Stage {
  readonly admin: Admin;
  readonly receiver: DemoReceiver;
  readonly traffic: Traffic;
  readonly hookSecret: string;
  readonly gatewayUrl: string;
  readonly dashboardUrl: string;
  close(): Promise<void>;
}

const readyLimitMs = 60_000;

/** A port that is free now; the apps keep it over their restarts so that clients find them again. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((done) => server.close(() => done()));
  return port;
}

/** Everything up and v1 answering, or an error that says what is not. */
export async function setStage(dataDir: string, story: Story): Promise<Stage> {
  const root = packageRoot();
  const log = createLog('demo', 'silent');
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    story.heading('Serin demo: five versions of a support assistant, one of them good');
    const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'pg'), log, supervise: true });
    if (!postgres.ok) throw new Error(`${postgres.fault.message} ${postgres.fault.remedy ?? ''}`);
    closers.push(async () => await postgres.value.stop());
    story.say(`Postgres is up (embedded, pid ${postgres.value.pid})`);

    const database = await openDatabase({ url: postgres.value.url, applicationName: 'serin-demo', poolSize: 2 });
    closers.push(async () => await database.close());
    await database.migrate();
    const credentials = await bootstrap(database, dataDir, null);

    const receiver = new DemoReceiver();
    const receiverUrl = await receiver.start();
    closers.push(async () => await receiver.stop());

    const ports = { gateway: await freePort(), controller: await freePort(), evaluator: await freePort() };
    const gatewayUrl = `http://127.0.0.1:${ports.gateway}`;
    const controllerUrl = `http://127.0.0.1:${ports.controller}`;
    const processes = startApps(
      {
        DATABASE_URL: postgres.value.url,
        SERIN_HOST: '127.0.0.1',
        SERIN_GATEWAY_PORT: String(ports.gateway),
        SERIN_CONTROLLER_PORT: String(ports.controller),
        SERIN_EVALUATOR_PORT: String(ports.evaluator),
        SERIN_GATEWAY_URL: gatewayUrl,
        SERIN_CONTROLLER_URL: controllerUrl,
        SERIN_GATEWAY_ID: 'demo-gateway',
        SERIN_MODEL_ROOTS: join(root, 'demo', 'models'),
        SERIN_EVALUATOR_KEY: credentials.evaluatorKey,
        SERIN_SECRET_KEY: credentials.secretKey,
        SERIN_WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8',
        SERIN_LOG_LEVEL: 'info',
        SERIN_DATA_DIR: dataDir,
      },
      dataDir,
      story,
    );
    closers.push(async () => {
      await Promise.all(processes.map(async (one) => await one.stop()));
    });
    for (const one of processes) one.start();
    await mkdir(dataDir, { recursive: true });

    const admin = new Admin(controllerUrl, credentials.adminKey, systemClock);
    await admin.call('GET', '/api/v1/rollouts');
    story.say(
      `gateway pid ${processes[0]?.pid}, controller pid ${processes[1]?.pid}, evaluator pid ${processes[2]?.pid}: kill any of them and watch`,
    );
    const dashboardUrl = `${controllerUrl}/#key=${credentials.adminKey}`;
    story.say(`dashboard: ${dashboardUrl}`);

    const endpoint = await admin.call<{ secret: string }>('POST', '/api/v1/webhook-endpoints', { name: 'on-call', url: receiverUrl });
    receiver.trust(endpoint.secret);
    const source = await admin.call<{ secret: string }>('PUT', '/api/v1/hook-sources/generic', {});

    await admin.call('POST', '/api/v1/test-sets', { name: demoTestSet });
    const testSet = await readFile(join(root, 'demo', 'testset.jsonl'), 'utf8');
    const frozen = await admin.call<{ caseCount: number; digest: string }>(
      'POST',
      `/api/v1/test-sets/${demoTestSet}/versions`,
      testSet,
      'application/x-ndjson',
    );
    story.say(`test set "${demoTestSet}" frozen: ${frozen.caseCount} cases, digest ${frozen.digest.slice(0, 12)}`);

    await installStable(admin);
    await untilServing(admin, story);
    printPlan(story);

    const traffic = new Traffic({
      gatewayUrl,
      apiKey: credentials.adminKey,
      model: demoModel,
      file: join(root, 'demo', 'traffic.jsonl'),
      clients: 6,
      pauseMs: 20,
      clock: systemClock,
    });
    await traffic.start();
    closers.push(async () => await traffic.stop());
    story.say('six users replay the bundled traffic, each asking one question after the other');
    return { admin, receiver, traffic, hookSecret: source.secret, gatewayUrl, dashboardUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function startApps(env: Record<string, string>, logDir: string, story: Story): SupervisedProcess[] {
  const apps: AppName[] = ['gateway', 'controller', 'evaluator'];
  return apps.map(
    (app) =>
      new SupervisedProcess({
        app,
        env,
        logDir,
        clock: systemClock,
        onRestart: (name, how) => story.say(`the ${name} died (${how}); starting it again`, 'yellow'),
      }),
  );
}

async function installStable(admin: Admin): Promise<void> {
  await admin.call('POST', '/api/v1/models', { name: demoModel });
  await admin.call('POST', `/api/v1/models/${demoModel}/versions`, {
    label: stable.label,
    spec: {
      engine: { kind: 'llama', file: stable.file, sha256: stable.sha256, contextSize: 1024, parallel: 4, threads: 1 },
      sampling: { maxTokens: 160 },
    },
    lineage: { source: 'demo', description: stable.story },
  });
  await admin.call('PATCH', `/api/v1/models/${demoModel}`, { stable: stable.label });
}

async function untilServing(admin: Admin, story: Story): Promise<void> {
  const giveUpAt = systemClock.monotonicMs() + readyLimitMs;
  for (;;) {
    const gateways = await admin.gateways();
    const engines = gateways.filter((gateway) => gateway.live).flatMap((gateway) => Object.values(gateway.engines));
    const ready = engines.find((engine) => engine.state === 'ready');
    if (ready) {
      story.say(`v1 serves: ${stable.file} in a process of its own (pid ${ready.pid ?? 'unknown'})`);
      return;
    }
    const failed = engines.find((engine) => engine.state === 'failed');
    if (failed) throw new Error(`v1 could not be loaded: ${failed.reason}`);
    if (systemClock.monotonicMs() > giveUpAt)
      throw new Error(`v1 was not ready within ${readyLimitMs / 1000} s: ${JSON.stringify(gateways)}`);
    await systemClock.sleep(200);
  }
}

function printPlan(story: Story): void {
  story.heading('The plan (quicker than the default, so that the story fits in minutes)');
  const step = demoPlan.steps?.[0];
  const latency = demoPlan.checks?.latency;
  story.detail(
    `first step ${step?.weightPct}% of traffic instead of 1%, at least ${step?.minS} s and ${step?.minResponses} answers; then ${demoPlan.bakeS} s of baking`,
  );
  story.detail(
    `latency judged in blocks of ${latency?.blockS} s instead of 30 s, with a wide margin of +${(latency?.margin ?? 0) * 100}% instead of +10%`,
  );
  story.detail(
    `entropy may move by ${(demoPlan.checks?.entropy?.up ?? 0) * 100}% (default 10%); promotion proves fewer than ${(demoPlan.checks?.errors?.proofMargin ?? 0) * 100} points more errors (default 1)`,
  );
  story.detail('unchanged: at most 1% false rollbacks per rollout over all checks, classes, steps and looks; each promotion proof at 5%');
}
