// `npm run bench:rollback`: how long after COMMIT of a rollback does any of ten gateway processes still send a new request to the candidate?
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, percentile } from '../engine/measure.mjs';
import { sleep, until } from './clock.mjs';
import { line } from './goals.mjs';
import { encode } from './load/wire.mjs';
import { Child, cores } from './process.mjs';
import { chat } from './requests.mjs';
import { startGateways } from './serin/gateway-process.mjs';
import { register, rollBack, startRollout, upstreamSpec } from './serin/rollouts.mjs';
import { Stage } from './serin/stage.mjs';
import { goalsTable, number, table } from './table.mjs';

const goalMs = 50;
const settleMs = 400;
const leastCandidate = 50;
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    gateways: { type: 'string', default: '10' },
    rate: { type: 'string', default: '500' },
    json: { type: 'string', default: 'bench-rollback.json' },
    quick: { type: 'boolean', default: false },
  },
});
const rounds = values.quick ? 3 : Number(values.rounds);
const gateways = values.quick ? 3 : Number(values.gateways);

/** One rollout to all traffic and back; milliseconds from COMMIT to the last request that reached the candidate's upstream, 0 when none did. */
async function oneRound(scene, all, model) {
  const { id, generation } = await startRollout(scene.database, model, 'candidate', 1);
  await Promise.all(all.map(async (gateway) => await gateway.ready(generation)));
  await scene.upstream.ask('reset');
  const onCandidate = async () => (await scene.upstream.ask('seen')).byModel['mock-bad'] ?? 0;
  await until(async () => (await onCandidate()) >= leastCandidate, 'traffic on the candidate');
  const { committedAtMs } = await rollBack(scene.database, id);
  await sleep(settleMs);
  const before = await onCandidate();
  const lastMs = (await scene.upstream.ask('seen')).lastArrivalMs['mock-bad'];
  await sleep(settleMs);
  return { lateMs: Math.max(0, lastMs - committedAtMs), after: (await onCandidate()) - before };
}

const upstream = new Child(join(import.meta.dirname, 'mock/upstream.mjs'), { where: cores.rest });
const generator = new Child(join(import.meta.dirname, 'load/generator.mjs'), { where: cores.rest });
let stage = null;
try {
  const port = await upstream.ask('listen');
  stage = await Stage.open();
  const specs = { stable: upstreamSpec(port, 'mock-good'), candidate: upstreamSpec(port, 'mock-bad') };
  const model = await register(stage.database, 'chat', specs, 'stable');
  say(`starting ${gateways} gateways`);
  const all = await startGateways(stage, gateways, 1);
  const request = encode({
    path: '/v1/chat/completions',
    headers: { authorization: `Bearer ${stage.key}` },
    body: chat({ model: 'chat' }),
  });
  const loading = { stop: false, runs: [] };
  const load = (async () => {
    while (!loading.stop) {
      const wanted = { ports: all.map((one) => one.port), request: request.toString('base64'), perS: Number(values.rate), forMs: 10_000 };
      loading.runs.push(await generator.ask('openLoop', wanted));
    }
  })();
  // When a round fails, the generator is ended under it; the round's error is the one to see.
  load.catch(() => undefined);
  const seen = [];
  for (let round = 0; round < rounds; round += 1) {
    seen.push(await oneRound({ database: stage.database, upstream }, all, model));
    if (round % 10 === 9) say(`${round + 1} rounds, median ${number(median(seen.map(({ lateMs }) => lateMs)), 1)} ms`);
  }
  loading.stop = true;
  await load;
  const lateMs = seen.map((one) => one.lateMs);
  const failed = loading.runs.reduce((sum, { asked, ok }) => sum + asked - ok, 0);
  const asked = loading.runs.reduce((sum, run) => sum + run.asked, 0);
  const figures = {
    rounds,
    gateways,
    requestsPerS: Number(values.rate),
    p50Ms: percentile(lateMs, 0.5),
    p99Ms: percentile(lateMs, 0.99),
    mostMs: Math.max(...lateMs),
    strayed: seen.reduce((sum, { after }) => sum + after, 0),
    asked,
    failed,
  };
  const goals = [
    line(12, 'COMMIT to the last new request on the candidate, p99 ms', figures.p99Ms, { atMost: goalMs }),
    line(12, `requests on the candidate later than ${settleMs} ms after COMMIT`, figures.strayed, { atMost: 0 }),
    line(12, `failed of ${asked} requests meanwhile`, failed, { atMost: 0 }),
  ];
  const row = [
    String(gateways),
    values.rate,
    String(rounds),
    number(figures.p50Ms, 1),
    number(figures.p99Ms, 1),
    number(figures.mostMs, 1),
  ];
  console.log(table(['gateways', 'requests/s', 'rounds', 'p50 ms', 'p99 ms', 'most ms'], [row]));
  console.log(`\n${goalsTable(goals)}`);
  await writeFile(values.json, `${JSON.stringify({ figures, seen, runs: loading.runs, goals }, null, 2)}\n`);
} finally {
  await stage?.close();
  await generator.end();
  await upstream.end();
}
