// `npm run bench:steady`: a fixed rate through one gateway on one core while controller and Postgres are killed and come back. No request may fail.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nowMs, sleep } from './clock.mjs';
import { line } from './goals.mjs';
import { encode } from './load/wire.mjs';
import { freePort } from './peers/portkey.mjs';
import { Child, cores } from './process.mjs';
import { chat } from './requests.mjs';
import { withGenerator, withScene } from './rows/scene.mjs';
import { orphanWatch } from './serin/gateway-process.mjs';
import { register, startRollout, upstreamSpec } from './serin/rollouts.mjs';
import { goalsTable } from './table.mjs';
import { cpuSeconds, rssMb } from './usage.mjs';

const controllerScript = fileURLToPath(new URL('../../../dist/apps/controller/src/main.js', import.meta.url));
const warmMs = 3_000;
const respawnMs = 500;
/** What happens, as shares of the run. */
const script = [
  [0.08, 'controller', 'kill'],
  [0.13, 'controller', 'start'],
  [0.2, 'postgres', 'kill'],
  [0.35, 'postgres', 'start'],
  [0.5, 'controller', 'kill'],
  [0.5, 'postgres', 'kill'],
  [0.7, 'postgres', 'start'],
  [0.72, 'controller', 'start'],
  [0.85, 'postgres', 'kill'],
  [0.86, 'postgres', 'start'],
];

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '60' },
    json: { type: 'string', default: 'bench-steady.json' },
    quick: { type: 'boolean', default: false },
  },
});
const forMs = (values.quick ? 12 : Number(values.seconds)) * 1_000;
const perS = values.quick ? Math.min(200, Number(values.rate)) : Number(values.rate);
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

/** The control plane, to be killed. */
class ControlPlane {
  constructor(stage) {
    this.stage = stage;
    this.secretKey = randomBytes(32).toString('hex');
    this.controller = null;
    stage.closers.push(async () => await this.controller?.end('SIGKILL'));
  }

  async startController() {
    this.port ??= await freePort();
    const controller = new Child(controllerScript, {
      name: 'controller',
      quiet: true,
      execArgv: orphanWatch,
      where: cores.rest,
      env: {
        DATABASE_URL: this.stage.postgres.url,
        SERIN_CONTROLLER_PORT: String(this.port),
        SERIN_SECRET_KEY: this.secretKey,
        SERIN_LOG_LEVEL: 'fatal',
      },
    });
    this.controller = controller;
    // A controller that finds no Postgres ends; whoever runs it starts it again.
    void controller.ended.then(async () => {
      await sleep(respawnMs);
      if (!controller.ending) await this.startController();
    });
  }

  async act(part, what) {
    if (part === 'controller') {
      if (what === 'start') await this.startController();
      else await this.controller.end('SIGKILL');
    } else if (what === 'start') await this.stage.startPostgres();
    else {
      process.kill(this.stage.postgres.pid, 'SIGKILL');
      await this.stage.postgres.stop();
    }
  }
}

async function play(plane, startMs) {
  for (const [share, part, what] of script) {
    await sleep(Math.max(0, startMs + share * forMs - nowMs()));
    say(`${part}: ${what}`);
    await plane.act(part, what);
  }
}

/** With Postgres away: the gateway ends and starts again; do its first requests succeed? */
async function restartAlone({ gateway, stage, port }, generator, request) {
  process.kill(stage.postgres.pid, 'SIGKILL');
  await stage.postgres.stop();
  await gateway.end('SIGTERM');
  await gateway.start();
  await gateway.ready(1);
  const result = await generator.ask('openLoop', { ports: [port], request, perS: 200, forMs: 3_000 });
  await stage.startPostgres();
  return result;
}

const prepare = async ({ database, upstreamPort }) => {
  const model = await register(
    database,
    'chat',
    { v1: upstreamSpec(upstreamPort, 'mock'), v2: upstreamSpec(upstreamPort, 'mock-b') },
    'v1',
  );
  return (await startRollout(database, model, 'v2', 0.1)).generation;
};

const figures = await withScene({ prepare }, async (scene) => {
  const request = encode({ path: scene.path, headers: scene.headers, body: chat({ model: 'chat' }) }).toString('base64');
  return await withGenerator(async (generator) => {
    const plane = new ControlPlane(scene.stage);
    await plane.startController();
    const { port, gateway } = scene;
    await generator.ask('measure', { port, request, connections: 16, stream: false, warmMs: 0, windowMs: warmMs, pid: gateway.pid });
    say(`${perS} requests/s for ${forMs / 1_000} s`);
    const cpuBefore = cpuSeconds(gateway.pid);
    const [load] = await Promise.all([generator.ask('openLoop', { ports: [port], request, perS, forMs }), play(plane, nowMs())]);
    const core = (cpuSeconds(gateway.pid) - cpuBefore) / (forMs / 1_000);
    const rss = rssMb(gateway.pid);
    await plane.controller.end('SIGKILL');
    say('restart of the gateway without Postgres');
    const alone = await restartAlone(scene, generator, request);
    return { perS, forMs, core, rssMb: rss, load, alone };
  });
});
const { load, alone } = figures;
const goals = [
  line(12, `failed of ${load.asked} requests while the control plane was killed and restarted`, load.asked - load.ok + load.unanswered, {
    atMost: 0,
  }),
  line(12, 'requests/s that were answered', (load.ok / figures.forMs) * 1_000, { atLeast: perS * 0.999 }),
  line(12, `failed of ${alone.asked} requests after a restart without Postgres`, alone.asked - alone.ok + alone.unanswered, { atMost: 0 }),
];
console.log(
  `p50 ${load.okP50Ms?.toFixed(2)} ms, p99 ${load.okP99Ms?.toFixed(1)} ms, core ${figures.core.toFixed(2)}, RSS ${figures.rssMb.toFixed(0)} MB`,
);
if (load.failures.length > 0)
  console.log(JSON.stringify({ statuses: load.statuses, causes: load.causes, failures: load.failures.slice(0, 5) }));
console.log(`\n${goalsTable(goals)}`);
await writeFile(values.json, `${JSON.stringify({ ...figures, goals }, null, 2)}\n`);
