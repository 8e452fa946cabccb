// What uncertainty and sampling cost per token: `node test/bench/kernel.mjs [--json FILE]` after `npm run build:server`. Plain JavaScript beside it.
import fs from 'node:fs';
import { LogitsKernel } from '../../dist/libs/engine/src/native/logits/kernel.js';
import { Sampler, seededUniform } from '../../dist/libs/engine/src/native/logits/sampler.js';

const plain = { temperature: 1, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };
const samplings = {
  'temperature 0': { temperature: 0 },
  'temperature 0.8': { temperature: 0.8 },
  'temperature 1': {},
  'top-p 0.95': { topP: 0.95 },
  'top-k 40, top-p 0.95, temperature 0.8': { topK: 40, topP: 0.95, temperature: 0.8 },
  'min-p 0.05': { minP: 0.05 },
  'temperature 0.8, penalties on 100 tokens': { temperature: 0.8, frequencyPenalty: 0.5, repeatPenalty: 1.1 },
};

const uniform = seededUniform(1);
const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
const shapes = {
  // Random weights: every token is likely.
  flat: (size) => Float32Array.from({ length: size }, () => 0.3 * normal()),
  // A trained model: a wide body, four likely tokens.
  peaked: (size) => Float32Array.from({ length: size }, (_, token) => 2 * normal() + (token % (size >> 2) === 7 ? 16 : 0)),
};

function plainEntropy(row) {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < row.length; i += 1) if (row[i] > max) max = row[i];
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < row.length; i += 1) {
    const below = row[i] - max;
    const e = Math.exp(below);
    sum += e;
    weighted += e * below;
  }
  return Math.log(sum) - weighted / sum;
}

function plainTopP(row, share) {
  const order = Float32Array.from(row).sort().reverse();
  const total = order.reduce((sum, logit) => sum + Math.exp(logit - order[0]), 0);
  let kept = 0;
  for (let mass = 0; kept < order.length && mass < share * total; kept += 1) mass += Math.exp(order[kept] - order[0]);
  return order[kept - 1];
}

/** Microseconds of one call: the lower quartile, for on a shared machine the rest measures the neighbours. Warmed up until V8 has optimised. */
function microseconds(call, forMs = 300) {
  const warmUntil = performance.now() + forMs;
  while (performance.now() < warmUntil) call();
  const took = [];
  const until = performance.now() + forMs;
  while (performance.now() < until || took.length < 8) {
    const start = performance.now();
    call();
    took.push((performance.now() - start) * 1000);
  }
  return took.sort((a, b) => a - b)[took.length >> 2];
}

const results = [];
for (const vocabulary of [4_096, 32_000, 128_256]) {
  for (const [row, make] of Object.entries(shapes)) {
    const kernel = new LogitsKernel(vocabulary);
    const raw = make(vocabulary);
    const logprobs = new Float32Array(vocabulary);
    const add = (what, call) => results.push({ vocabulary, row, what, microseconds: Math.round(microseconds(call) * 10) / 10 });
    add('copy', () => kernel.row.set(raw));
    add('measure', () => kernel.measure());
    add('first place only', () => kernel.firstPlace());
    kernel.measure();
    add('20 most likely', () => kernel.mostLikely(20));
    add('rank', () => kernel.rank(17));
    add('log probabilities', () => kernel.writeLogprobs(logprobs));
    add('KL', () => kernel.klFrom(logprobs));
    for (const [name, sampling] of Object.entries(samplings)) {
      const sampler = new Sampler({ ...plain, ...sampling }, seededUniform(7));
      for (let i = 0; i < 100; i += 1) sampler.accept((i * 31) % vocabulary);
      add(name, () => sampler.next(kernel));
    }
    kernel.undoEdits();
    add('plain JS: entropy', () => plainEntropy(raw));
    add('plain JS: top-p by sorting', () => plainTopP(raw, 0.95));
  }
}

const columns = [...new Set(results.map(({ vocabulary, row }) => `${vocabulary} ${row}`))];
console.log(`Microseconds per call, Node ${process.version}\n\n| | ${columns.join(' | ')} |\n|---|${'---:|'.repeat(columns.length)}`);
for (const what of new Set(results.map((result) => result.what))) {
  console.log(`| ${what} | ${results.flatMap((result) => (result.what === what ? [result.microseconds] : [])).join(' | ')} |`);
}
const json = `${JSON.stringify(results)}\n`;
const target = process.argv.indexOf('--json');
if (target > 0) fs.writeFileSync(process.argv[target + 1], json);
else console.log(`\n${json}`);
