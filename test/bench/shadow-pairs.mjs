// What a mirrored prompt tells: node test/bench/shadow-pairs.mjs [prompts] (after npm run build). Demo models, answers drawn at temperature 0.7.
// Per candidate: how much of the spread within a class is the prompt's own (correlation of the two versions on one prompt), by teacher forcing and by
// answering again; and after how many pairs +10% entropy is found at 1% with margin 0, the residuals of real pairs shifted by ln 1.1.
import { readFileSync } from 'node:fs';
import { pairedLogE } from '../../dist/libs/analysis/src/index.js';
import { NativeEngine } from '../../dist/libs/engine/src/index.js';
import { createLog } from '../../dist/libs/telemetry/src/index.js';

const root = new URL('../../', import.meta.url).pathname;
const count = Number(process.argv[2] ?? 400);
const prompts = readFileSync(`${root}demo/traffic.jsonl`, 'utf8')
  .trim()
  .split('\n')
  .slice(0, count)
  .map((line) => JSON.parse(line));
const candidates = { 'v1 again': 'v1-stable', 'v1 Q8_0': 'v1-stable-q8_0', v2: 'v2-improved', v3: 'v3-regressed' };
const atOnce = 4;
const runs = 400;
const mostPairs = 3_000;

async function load(file) {
  const spec = { file: `${root}demo/models/demo-support-${file}.gguf`, contextSize: 512, gpuLayers: 0, parallel: atOnce, threads: 1 };
  const engine = new NativeEngine({ spec, log: createLog('bench', 'silent') });
  await engine.load(AbortSignal.timeout(60_000));
  return engine;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const never = new AbortController().signal;

async function write(engine, messages, seed) {
  const sampling = { temperature: 0.7, topP: 1, topK: 0, minP: 0, maxTokens: 96, seed, stop: [] };
  const [entropies, pieces] = [[], []];
  for await (const event of engine.generate({ id: 'b', prompt: { kind: 'chat', messages }, sampling }, never)) {
    if (event.type !== 'token') continue;
    pieces.push(event.text);
    if (event.uncertainty.kind === 'exact') entropies.push(event.uncertainty.entropyNats);
  }
  return { text: pieces.join(''), entropy: mean(entropies), length: entropies.length };
}

async function read(engine, messages, text) {
  const [{ tokens }] = await engine.score({ id: 's', context: { kind: 'chat', messages }, continuations: [text] }, never);
  return { entropy: mean(tokens.map(({ entropyNats }) => entropyNats)), nll: mean(tokens.map(({ nllNats }) => nllNats)) };
}

async function inTurns(work) {
  const results = [];
  let next = 0;
  const one = async () => {
    while (next < prompts.length) {
      const index = next++;
      results[index] = await work(prompts[index], index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return results;
}

/** [class, ln stable, ln candidate] -> correlation after the class means are taken out, log-sd within class, sd of the log ratio, and its mean. */
function within(rows) {
  const classes = Map.groupBy(rows, ([name]) => name);
  let [xx, yy, xy] = [0, 0, 0];
  for (const members of classes.values()) {
    const [mx, my] = [mean(members.map((row) => row[1])), mean(members.map((row) => row[2]))];
    for (const [, x, y] of members) {
      xx += (x - mx) ** 2;
      yy += (y - my) ** 2;
      xy += (x - mx) * (y - my);
    }
  }
  const differences = rows.map(([, x, y]) => y - x);
  const centre = mean(differences);
  const sd = Math.sqrt(mean(differences.map((one) => (one - centre) ** 2)));
  return { correlation: xy / Math.sqrt(xx * yy), sdWithin: Math.sqrt(xx / rows.length), sdRatio: sd, centre, differences };
}

let state = 11;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state + 0.5) / 2 ** 32;
};

/** Pairs until "more than stable" is sure at 1%, when the true ratio is `shift`: [median, p90, share of runs]. */
function pairsUntil({ differences, centre }, shift) {
  const needed = Array.from({ length: runs }, () => {
    const drawn = [];
    while (drawn.length < mostPairs) {
      for (let n = 0; n < (drawn.length < 200 ? 1 : 10); n += 1) {
        drawn.push([differences[Math.floor(uniform() * differences.length)] - centre + Math.log(shift), 1]);
      }
      if (pairedLogE(drawn) >= Math.log(100)) return drawn.length;
    }
    return Number.POSITIVE_INFINITY;
  }).sort((a, b) => a - b);
  return `${needed[runs / 2]} / ${needed[Math.floor(0.9 * runs)]}`;
}

const stable = await load('v1-stable');
const answers = await inTurns(async ({ messages, kind }, index) => {
  const first = await write(stable, messages, index);
  return { kind, messages, ...first, read: first.text === '' ? null : await read(stable, messages, first.text) };
});
const usable = answers.filter(({ read: one, entropy }) => one && entropy > 0 && one.entropy > 0);
const ln = Math.log;
console.log(`${usable.length} prompts, ${new Set(usable.map(({ kind }) => kind)).size} classes (kinds of the demo's traffic)`);
console.log(
  'candidate | how | correlation within class | log-sd within class | sd of ln ratio | mean ratio | pairs for +10% (median / p90) | +5%',
);
for (const [name, file] of Object.entries(candidates)) {
  const engine = await load(file);
  const theirs = await inTurns(async ({ messages }, index) => ({
    ...(await write(engine, messages, 100_000 + index)),
    read: answers[index].text === '' ? null : await read(engine, messages, answers[index].text),
  }));
  await engine.unload(0);
  const rowsOf = (pick) =>
    answers.flatMap((one, index) => {
      const both = pick(one, theirs[index]);
      return both && both.every((value) => value > 0) ? [[one.kind, ln(both[0]), ln(both[1])]] : [];
    });
  const kinds = {
    'forced entropy': rowsOf((one, other) => one.read && [one.read.entropy, other.read.entropy]),
    'forced NLL': rowsOf((one, other) => one.read && [one.read.nll, other.read.nll]),
    'answered again, entropy': rowsOf((one, other) => [one.entropy, other.entropy]),
    'answered again, length': rowsOf((one, other) => [one.length, other.length]),
  };
  for (const [how, rows] of Object.entries(kinds)) {
    const found = within(rows);
    const figures = [found.correlation, found.sdWithin, found.sdRatio, Math.exp(found.centre)].map((value) => value.toFixed(3));
    console.log([name, how, ...figures, pairsUntil(found, 1.1), pairsUntil(found, 1.05)].join(' | '));
  }
}
await stable.unload(0);
