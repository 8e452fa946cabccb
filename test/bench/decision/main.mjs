// `npm run bench:decision`: how often a healthy candidate is taken back, and after how many of its answers a bad one is, through the product's own code
// and by the rules that others use, on the same streams.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { detections, falseRollbacks, goalsOf } from './figures.mjs';
import { horizon } from './run.mjs';

const { values } = parseArgs({
  options: {
    // In each setting at 10 requests a second; 120 make 2,000 in all, for rare requests take a look each and get fewer, dense ones more.
    runs: { type: 'string', default: '120' },
    'effect-runs': { type: 'string', default: '200' },
    json: { type: 'string', default: 'bench-decision.json' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
  },
});
const runs = values.quick ? 40 : Number(values.runs);
const effectRuns = values.quick ? 20 : Number(values['effect-runs']);
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);

const weights = [0.01, 0.05, 0.25, 0.5];
/** The healthy candidate: every rate and weight, bursts that both arms share, and (at 10/s) bursts of each arm's own. */
const healthy = [
  ...[0.1, 10, 100].flatMap((rate) => weights.map((weight) => ({ rate, weight, effect: {}, queues: 'shared' }))),
  ...weights.map((weight) => ({ rate: 10, weight, effect: {}, queues: 'private' })),
];
const effects = [
  ...[1.05, 1.1, 1.2, 0.7, 0.1].map((entropy) => ({ entropy })),
  ...[0.01, 0.02, 0.05, 0.2, 1].map((errors) => ({ errors })),
];
const slow = [{ latency: 1.5 }, { latency: 2 }, { tail: 3 }, { length: 2 }];
const bad = [
  ...[0.05, 0.5].flatMap((weight) => [...effects, ...slow].map((effect) => ({ rate: 10, weight, effect, queues: 'shared' }))),
  ...[{ latency: 1.5 }, { latency: 2 }].map((effect) => ({ rate: 10, weight: 0.05, effect, queues: 'private' })),
];

const chunk = 5;
const runsAt = { 0.1: 0.3, 10: 1, 100: 1.8 };
async function all(settings, wanted) {
  const jobs = settings.flatMap((setting, at) => {
    const count = Math.ceil(wanted * runsAt[setting.rate]);
    return Array.from({ length: Math.ceil(count / chunk) }, (_, part) => ({
      at,
      setting,
      from: 1 + part * chunk,
      count: Math.min(chunk, count - part * chunk),
    }));
  });
  const results = settings.map(() => []);
  let done = 0;
  const total = jobs.length;
  let saidAt = Date.now();
  await Promise.all(
    Array.from({ length: Number(values.workers) }, async () => {
      const worker = new Worker(join(import.meta.dirname, 'worker.mjs'));
      try {
        for (let job = jobs.shift(); job; job = jobs.shift()) {
          const { at, ...message } = job;
          worker.postMessage(message);
          // Rejects when the worker fails.
          const [made] = await once(worker, 'message');
          results[at].push(...made);
          done += 1;
          if (Date.now() - saidAt > 30_000) {
            saidAt = Date.now();
            say(`${done} of ${total} batches of ${chunk} runs`);
          }
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return settings.map((setting, at) => ({ setting, results: results[at] }));
}

const wanted = (kind) => values.only === undefined || values.only === kind;
say(`healthy candidates: ${healthy.length} settings, ${runs} runs of ${horizon} requests at 10/s, fewer below, more above`);
const aa = wanted('healthy') ? await all(healthy, runs) : [];
say(`bad candidates: ${bad.length} settings, ${effectRuns} runs`);
const ab = wanted('bad') ? await all(bad, effectRuns) : [];
const goals = goalsOf(aa, ab);
console.log(falseRollbacks(aa));
console.log(detections(ab));
console.log(goals.text);
await writeFile(
  values.json,
  `${JSON.stringify({ runs, effectRuns, horizon, healthy: aa.map(summary), bad: ab.map(summary), goals: goals.rows }, null, 1)}\n`,
);
say(`written to ${values.json}`);

function summary({ setting, results }) {
  return { setting, rules: Object.fromEntries(Object.keys(results[0] ?? {}).map((name) => [name, results.map((one) => one[name])])) };
}
