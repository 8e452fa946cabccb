// What a row of logits costs: `node test/bench/kernel.mjs` after `npm run build:server`. Prints a table and JSON; plain JavaScript beside it.
import { performance } from 'node:perf_hooks';
import { LogitsKernel } from '../../dist/libs/engine/src/native/logits/kernel.js';
import { Sampler, seededUniform } from '../../dist/libs/engine/src/native/logits/sampler.js';

/** Median milliseconds of one call. */
function timed(work, rounds = 15) {
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const calls = 20;
    const from = performance.now();
    for (let call = 0; call < calls; call += 1) work();
    times.push((performance.now() - from) / calls);
  }
  return times.sort((a, b) => a - b)[rounds >> 1];
}

function plainJavaScript(row) {
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

const plain = { temperature: 0.8, topP: 1, topK: 0, minP: 0, maxTokens: 1, stop: [] };
const rows = [];
for (const size of [4_096, 32_000, 128_256]) {
  for (const kind of ['flat', 'peaked']) {
    const uniform = seededUniform(1);
    const row = Float32Array.from({ length: size }, (_, token) => (kind === 'peaked' && token % 1_000 !== 7 ? -40 : 0) + uniform());
    const kernel = new LogitsKernel(size);
    const draw = (sampling) => {
      const sampler = new Sampler({ ...plain, ...sampling }, uniform);
      return timed(() => sampler.next(kernel));
    };
    kernel.row.set(row);
    kernel.measure();
    rows.push({
      vocabulary: size,
      row: kind,
      'copy ms': timed(() => kernel.row.set(row)),
      'measure ms': timed(() => kernel.measure()),
      'plain JS ms': timed(() => plainJavaScript(row)),
      'draw ms': draw({}),
      'top-k 40 ms': draw({ topK: 40 }),
      'top-p 0.95 ms': draw({ topP: 0.95 }),
      'penalties ms': draw({ frequencyPenalty: 0.5, logitBias: [[3, 1]] }),
      'top 20 logprobs ms': timed(() => kernel.mostLikely(20)),
    });
  }
}
const rounded = rows.map((row) =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, typeof value === 'number' ? Math.round(value * 1e4) / 1e4 : value])),
);
process.stdout.write('');
console.table(rounded);
console.log(JSON.stringify(rounded));
