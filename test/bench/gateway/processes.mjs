// `npm run bench:processes`: requests/s of one gateway process beside several on one port, in turns, under the same closed loop.
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../engine/measure.mjs';
import { until } from './clock.mjs';
import { encode, Wire } from './load/wire.mjs';
import { Child } from './process.mjs';
import { chat } from './requests.mjs';
import { GatewayProcess } from './serin/gateway-process.mjs';
import { register, startRollout, upstreamSpec } from './serin/rollouts.mjs';
import { Stage } from './serin/stage.mjs';

const path = '/v1/chat/completions';
/** Answers over new connections in a row after which every process has been met. */
const enough = 64;

const { values } = parseArgs({
  options: {
    processes: { type: 'string', default: '2' },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
    window: { type: 'string', default: '3' },
    json: { type: 'string', default: 'bench-processes.json' },
  },
});
const counts = [1, Number(values.processes)];

/** All processes answer: the kernel chooses among them anew for each connection. */
async function everyoneAnswers(port, request) {
  const bytes = Buffer.from(request, 'base64');
  await until(async () => {
    for (let at = 0; at < enough; at += 1) {
      const wire = new Wire(port);
      const { status } = await wire.ask(bytes);
      wire.leave();
      if (status !== 200) return false;
    }
    return true;
  }, 'all processes to answer');
}

const here = import.meta.dirname;
// Nobody is bound to a core: clients, upstream and processes share the machine, as the kernel likes.
const upstream = new Child(join(here, 'mock/upstream.mjs'));
const generator = new Child(join(here, 'load/generator.mjs'));
const stage = await Stage.open();
try {
  const port = await upstream.ask('listen');
  const model = await register(stage.database, 'chat', { v1: upstreamSpec(port, 'mock'), v2: upstreamSpec(port, 'mock-b') }, 'v1');
  const { generation } = await startRollout(stage.database, model, 'v2', 0.1);
  const body = chat({ model: 'chat' });
  const request = encode({ path, headers: { authorization: `Bearer ${stage.key}` }, body }).toString('base64');
  const gateways = [];
  for (const count of counts) {
    const gateway = new GatewayProcess(stage, { name: `of-${count}`, env: { SERIN_GATEWAY_PROCESSES: String(count) } });
    await (await gateway.start()).ready(generation);
    await everyoneAnswers(gateway.port, request);
    gateways.push(gateway);
  }
  const rounds = counts.map(() => []);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const [at, gateway] of gateways.entries()) {
      const load = { port: gateway.port, pid: null, request, connections: Number(values.connections), stream: false };
      const result = await generator.ask('measure', {
        ...load,
        warmMs: round === 0 ? 4_000 : 1_000,
        windowMs: Number(values.window) * 1_000,
      });
      if (result.failed > 0) throw new Error(`${result.failed} requests failed: ${JSON.stringify(result.causes)}`);
      rounds[at].push(result);
    }
  }
  const figure = (results, name) => median(results.map((result) => result[name]));
  const table = counts.map((processes, at) => ({
    processes,
    requestsPerS: Math.round(figure(rounds[at], 'requestsPerS')),
    p50Ms: Number(figure(rounds[at], 'latencyP50Ms').toFixed(1)),
    p99Ms: Number(figure(rounds[at], 'latencyP99Ms').toFixed(1)),
  }));
  const ratio = median(rounds[1].map((result, round) => result.requestsPerS / rounds[0][round].requestsPerS));
  console.table(table);
  console.log(
    `requests/s of ${counts[1]} processes / of one, median of ${values.rounds} rounds: ${ratio.toFixed(2)}, ${availableParallelism()} cores`,
  );
  await writeFile(values.json, `${JSON.stringify({ cores: availableParallelism(), table, ratio, rounds }, null, 2)}\n`);
} finally {
  await stage.close();
  await generator.end();
  await upstream.end();
}
