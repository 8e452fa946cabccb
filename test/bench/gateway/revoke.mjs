// `npm run bench:revoke`: how long after COMMIT of its revocation is a key still good at any of three gateway processes under load?
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ApiKeyStore } from '#libs/storage';
import { median, percentile } from '../engine/measure.mjs';
import { nowMs, sleep, until } from './clock.mjs';
import { line } from './goals.mjs';
import { encode, Wire } from './load/wire.mjs';
import { Child, cores } from './process.mjs';
import { chat } from './requests.mjs';
import { startGateways } from './serin/gateway-process.mjs';
import { register, upstreamSpec } from './serin/rollouts.mjs';
import { Stage } from './serin/stage.mjs';
import { goalsTable, number, table } from './table.mjs';

const goalMs = 250;
const probedBeforeMs = 50;
/** Between two probes of a gateway: back to back they would be the load that is measured. */
const probeEveryMs = 2;
const giveUpMs = 10_000;
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
const keys = new ApiKeyStore();

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    gateways: { type: 'string', default: '3' },
    rate: { type: 'string', default: '300' },
    json: { type: 'string', default: 'bench-revoke.json' },
    quick: { type: 'boolean', default: false },
  },
});
const rounds = values.quick ? 5 : Number(values.rounds);
const gateways = Number(values.gateways);
const rate = Number(values.rate);

const request = (key) =>
  encode({ path: '/v1/chat/completions', headers: { authorization: `Bearer ${key}` }, body: chat({ model: 'chat' }) });

/** A client of one gateway; a refusal may close its connection. */
class Prober {
  constructor(port) {
    Object.assign(this, { port, wire: null });
  }

  async ask(bytes) {
    if (this.wire === null || this.wire.closed) this.wire = new Wire(this.port);
    return await this.wire.ask(bytes);
  }

  leave() {
    this.wire?.leave();
  }
}

/** Asks again and again until it is refused: when the last good request left, and when the first refusal was here. */
async function probe(prober, bytes) {
  let lastGoodMs = null;
  const giveUpAtMs = nowMs() + giveUpMs;
  while (nowMs() < giveUpAtMs) {
    const answer = await prober.ask(bytes);
    if (answer.status === 401) return { lastGoodMs, refusedMs: answer.endedMs };
    if (answer.status !== 200) throw new Error(`a probe ended with ${answer.status} (${answer.cause})`);
    lastGoodMs = answer.askedMs;
    await sleep(probeEveryMs);
  }
  throw new Error(`the key is good ${giveUpMs} ms after its revocation`);
}

/** One key, made and revoked. Milliseconds after COMMIT left: the last request that was let in, and the last of the gateways' first refusals. */
async function oneRound(database, probers) {
  const { id, key } = await keys.create(database.manager, { name: 'bench-revoked', scopes: ['inference:invoke'] });
  const bytes = request(key);
  for (const prober of probers) await until(async () => (await prober.ask(bytes)).status === 200, 'the key to be known');
  const probing = probers.map(async (prober) => await probe(prober, bytes));
  await sleep(probedBeforeMs);
  let committedAtMs = 0;
  await database.transaction(async (tx) => {
    await keys.revoke(tx, id);
    committedAtMs = nowMs();
  });
  const seen = await Promise.all(probing);
  const lastOf = (moment) => Math.max(...seen.map((one) => one[moment] ?? 0)) - committedAtMs;
  return { lastGoodMs: Math.max(0, lastOf('lastGoodMs')), refusedMs: lastOf('refusedMs') };
}

const upstream = new Child(join(import.meta.dirname, 'mock/upstream.mjs'), { where: cores.rest });
const generator = new Child(join(import.meta.dirname, 'load/generator.mjs'), { where: cores.rest });
let stage = null;
try {
  const port = await upstream.ask('listen');
  stage = await Stage.open();
  await register(stage.database, 'chat', { stable: upstreamSpec(port, 'mock-good') }, 'stable');
  say(`starting ${gateways} gateways`);
  const all = await startGateways(stage, gateways, 1);
  const ports = all.map((one) => one.port);
  const loading = { stop: false, runs: [] };
  const load = (async () => {
    while (!loading.stop) {
      loading.runs.push(
        await generator.ask('openLoop', { ports, request: request(stage.key).toString('base64'), perS: rate, forMs: 5_000 }),
      );
    }
  })();
  // When a round fails, the generator is ended under it; the round's error is the one to see.
  load.catch(() => undefined);
  const probers = ports.map((one) => new Prober(one));
  const seen = [];
  for (let round = 0; round < rounds; round += 1) {
    seen.push(await oneRound(stage.database, probers));
    if (round % 20 === 19) say(`${round + 1} keys, median ${number(median(seen.map(({ refusedMs }) => refusedMs)), 1)} ms`);
  }
  for (const prober of probers) prober.leave();
  loading.stop = true;
  await load;
  const [lastGood, refused] = ['lastGoodMs', 'refusedMs'].map((moment) => {
    const ms = seen.map((one) => one[moment]);
    return { p50Ms: percentile(ms, 0.5), p99Ms: percentile(ms, 0.99), mostMs: Math.max(...ms) };
  });
  const asked = loading.runs.reduce((sum, run) => sum + run.asked, 0);
  const failed = loading.runs.reduce((sum, run) => sum + run.asked - run.ok, 0);
  const figures = { rounds, gateways, requestsPerS: rate, lastGood, refused, asked, failed };
  const goals = [
    line(1, 'COMMIT to the first refusal at the last gateway, p99 ms', refused.p99Ms, { atMost: goalMs }),
    line(2, `failed of ${asked} requests with another key meanwhile`, failed, { atMost: 0 }),
  ];
  const row = (title, { p50Ms, p99Ms, mostMs }) => [title, ...[p50Ms, p99Ms, mostMs].map((ms) => number(ms, 1))];
  console.log(`${gateways} gateways, ${rate} requests/s with other keys, ${rounds} keys revoked; milliseconds after COMMIT\n`);
  console.log(
    table(
      ['', 'p50 ms', 'p99 ms', 'most ms'],
      [row('last request that was let in', lastGood), row('first refusal at the last gateway', refused)],
    ),
  );
  console.log(`\n${goalsTable(goals)}`);
  await writeFile(values.json, `${JSON.stringify({ figures, seen, goals }, null, 2)}\n`);
} finally {
  await stage?.close();
  await generator.end();
  await upstream.end();
}
