// `npm run soak:gateway`: hundreds of thousands of streams, a fifth cancelled, a twentieth failing in every known way. Does memory stay, does every request end once, does anything keep running for nobody?
import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sleep, until } from '../clock.mjs';
import { line } from '../goals.mjs';
import { Child, cores } from '../process.mjs';
import { withScene } from '../rows/scene.mjs';
import { register, upstreamSpec } from '../serin/rollouts.mjs';
import { goalsTable, number, table } from '../table.mjs';
import { rssMb } from '../usage.mjs';
import { endStates, mismatch, since } from './counters.mjs';

const demoModels = join(import.meta.dirname, '../../../../demo/models');
const quietMs = 5_000;
const crashEveryMs = 10_000;
const drainLimitMs = 30_000;
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '200000' },
    'at-once': { type: 'string', default: '64' },
    cancel: { type: 'string', default: '0.2' },
    faults: { type: 'string', default: '0.05' },
    idle: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    native: { type: 'boolean', default: true },
    json: { type: 'string', default: 'soak-gateway.json' },
  },
  allowNegative: true,
});
const streams = Number(values.streams);
const warmStreams = Math.max(200, Math.round(streams / 10));

async function prepare(scene) {
  const { database, upstreamPort } = scene;
  // Lives until its version is loaded; then nobody listens there any more.
  scene.doomed = new Child(join(import.meta.dirname, '../mock/upstream.mjs'), { where: cores.rest });
  const nobody = await scene.doomed.ask('listen');
  await register(database, 'chat', { v1: upstreamSpec(upstreamPort, 'mock', { top: 20, share: 0.1 }) }, 'v1');
  await register(database, 'paced', { v1: upstreamSpec(upstreamPort, 'mock-paced') }, 'v1');
  await register(database, 'wordy', { v1: upstreamSpec(upstreamPort, 'mock-b') }, 'v1');
  await register(database, 'refused', { v1: upstreamSpec(nobody, 'mock') }, 'v1');
  if (!values.native) return 4;
  const engine = { kind: 'llama', file: 'demo-support-v1-stable-q8_0.gguf', contextSize: 512, parallel: 4, threads: 1 };
  await register(database, 'native', { v1: { engine } }, 'v1');
  return 5;
}

/** Kills the native engine's process now and then, while it answers. */
function crashing(gateway) {
  let stopped = false;
  let kills = 0;
  const done = (async () => {
    while (!stopped) {
      for (let waited = 0; waited < crashEveryMs && !stopped; waited += 250) await sleep(250);
      if (stopped) return;
      const engines = Object.values((await gateway.readyz())?.engines ?? {});
      const pid = engines.find((engine) => engine.pid !== null && engine.state === 'ready')?.pid;
      if (pid === undefined) continue;
      process.kill(pid, 'SIGKILL');
      kills += 1;
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await done;
      return kills;
    },
  };
}

/** Connections that ask nothing. */
function idlers(port, count) {
  const sockets = Array.from({ length: count }, () => createConnection({ host: '127.0.0.1', port }).on('error', () => undefined));
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

async function memory(gateway) {
  await sleep(quietMs);
  const probe = await gateway.child.ask('memory');
  return { rssMb: rssMb(gateway.pid), heapMb: probe.heapUsed / 2 ** 20, externalMb: probe.external / 2 ** 20 };
}

async function counters(gateway) {
  return endStates((await gateway.readyz())?.requests);
}

const execArgv = ['--expose-gc', '--import', join(import.meta.dirname, 'memory-probe.mjs')];
const env = { SERIN_MODEL_ROOTS: demoModels };
const result = await withScene({ prepare, env, execArgv }, async (scene) => {
  const { gateway, upstream, path, headers, port } = scene;
  await scene.doomed.end();
  const clients = new Child(join(import.meta.dirname, 'clients.mjs'), { where: cores.rest });
  const plan = {
    atOnce: Number(values['at-once']),
    shares: { cancelShare: Number(values.cancel), faultShare: Number(values.faults) },
    target: { port, path, headers },
    withNative: values.native,
  };
  try {
    const leaveIdle = idlers(port, Number(values.idle));
    const crashes = values.native ? crashing(gateway) : null;
    say(`warm-up: ${warmStreams} streams`);
    await clients.ask('run', { ...plan, streams: warmStreams, seed: Number(values.seed) + 1_000 });
    const warm = await memory(gateway);
    const before = await counters(gateway);
    await upstream.ask('reset');
    say(`${streams} streams; warm: RSS ${number(warm.rssMb, 0)} MB, heap ${number(warm.heapMb, 1)} MB`);
    const samples = [];
    const timer = setInterval(() => samples.push(rssMb(gateway.pid)), 1_000);
    const seen = await clients.ask('run', { ...plan, streams, seed: Number(values.seed) });
    clearInterval(timer);
    const kills = (await crashes?.stop()) ?? 0;
    leaveIdle();
    await until(async () => (await upstream.ask('seen')).open === 0, 'the upstream to be idle', drainLimitMs).catch(() => undefined);
    const end = await memory(gateway);
    const counted = since(before, await counters(gateway));
    return { seen, kills, warm, end, mostRssMb: Math.max(...samples), samples, counted, upstream: await upstream.ask('seen') };
  } finally {
    await clients.end();
  }
});

const { seen, warm, end, counted, upstream } = result;
const odd = mismatch(counted, seen);
const goals = [
  line(10, `RSS after ${streams} streams / after warm-up`, end.rssMb / warm.rssMb, { atMost: 1.1 }),
  line(10, 'heap after / after warm-up', end.heapMb / warm.heapMb, { atMost: 1.1 }),
  line(10, 'upstream requests orphaned', upstream.open, { atMost: 0 }),
  line(10, 'requests that ended otherwise than they must', seen.violations.length + seen.hung, { atMost: 0 }),
  line(10, 'requests begun, less those in exactly one end state', odd?.ended ?? null, { atMost: 0 }),
  line(10, 'requests of the clients that the gateway does not know', odd?.clients ?? null, { atMost: 0 }),
  line(10, 'good answers that only one of both counted', odd?.ok ?? null, { atMost: 0 }),
];
const faults = Object.entries(seen.byFault).sort(([a], [b]) => a.localeCompare(b));
console.log(
  table(
    ['fault', 'ok', 'told', 'broken off'],
    faults.map(([name, f]) => [name, String(f.ok), String(f.told), String(f.broken)]),
  ),
);
console.log(
  `\nasked ${seen.sent} in ${number(seen.tookS, 0)} s: ok ${seen.ok}, told ${seen.told}, broken off ${seen.broken}, left ${seen.left}, hung ${seen.hung}`,
);
console.log(`counted by the gateway: ${counted === null ? 'nothing' : JSON.stringify(counted)}`);
console.log(
  `RSS ${number(warm.rssMb, 0)} -> ${number(end.rssMb, 0)} MB (most ${number(result.mostRssMb, 0)}), heap ${number(warm.heapMb, 1)} -> ${number(end.heapMb, 1)} MB`,
);
for (const violation of seen.violations.slice(0, 10)) console.log(JSON.stringify(violation));
console.log(`\n${goalsTable(goals)}`);
await writeFile(values.json, `${JSON.stringify({ options: values, ...result, goals }, null, 2)}\n`);
