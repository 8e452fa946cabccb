// Cost of a look: node test/bench/judge.mjs (after npm run build). One hour at 10 answers a second, five classes, two epochs; then one answer at a time.
import { addTo, bucketOf, emptyCounts, emptyHistograms, fitScores, Ledger } from '../../dist/libs/analysis/src/index.js';
import { defaultPlan } from '../../dist/libs/rollout/src/index.js';

let state = 7;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state + 0.5) / 2 ** 32;
};
const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
const classes = ['a', 'b', 'c', 'd', 'e'];

function aWindow(arm, epoch, promptClass, secondAt, n) {
  const histograms = emptyHistograms();
  for (let one = 0; one < n; one += 1) {
    for (const [metric, centre] of [
      ['entropy', 0.5],
      ['length', 90],
      ['ttft', 60],
      ['interToken', 9],
      ['total', 900],
      ['input', 120],
    ]) {
      addTo(histograms[metric], bucketOf(centre * Math.exp(0.45 * normal())));
    }
  }
  const counts = { ...emptyCounts(), responses: n, units: n, lnTotalCount: n, errors: uniform() < 0.005 ? 1 : 0, histograms };
  return { key: { model: 'm', versionId: arm, rolloutId: 'r', epoch, arm, promptClass, secondAt }, counts };
}

const scores = fitScores(
  classes.map((promptClass) => aWindow(null, null, promptClass, 0, 2_000)),
  { minResponses: 500, minPerClass: 500 },
);
const epochs = [
  { epoch: 1, weight: 0.05, since: 0 },
  { epoch: 2, weight: 0.25, since: 1_800_000 },
];
const { checks, promotion, guards, alpha } = defaultPlan;
const options = { epochs, currentEpoch: 2, scores, checks, promotion, guards, alpha, now: 3_700_000 };

const hour = [];
for (let second = 0; second < 3_600; second += 1) {
  const { epoch, weight } = epochs[second < 1_800 ? 0 : 1];
  for (let one = 0; one < 10; one += 1) {
    hour.push(aWindow(uniform() < weight ? 'candidate' : 'stable', epoch, classes[Math.floor(uniform() * 5)], second * 1_000, 1));
  }
}

// Time of this thread on a processor: other work on the machine does not count.
const spent = () => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};
const time = (name, times, work) => {
  const started = spent();
  for (let at = 0; at < times; at += 1) work(at);
  process.stdout.write(`${name.padEnd(58)} ${((spent() - started) / times).toFixed(1).padStart(10)} us\n`);
};

const settings = { sliceMs: checks.latency.blockS * 1_000 };
time('add an hour (36,000 windows) to an empty ledger', 20, () => new Ledger(settings).add(hour));
time('add an hour and look, from nothing', 20, () => {
  const fresh = new Ledger(settings);
  fresh.add(hour);
  fresh.judge(options);
});
const ledger = new Ledger(settings);
ledger.add(hour);
time('look with nothing new', 2_000, () => ledger.judge(options));
const more = Array.from({ length: 4_000 }, (_, at) =>
  aWindow(at % 4 === 0 ? 'candidate' : 'stable', 2, classes[at % 5], 3_600_000 + at * 10, 1),
);
time('add one answer and look', 4_000, (at) => {
  ledger.add([more[at]]);
  ledger.judge(options);
});
time('look with intervals', 200, () => ledger.judge({ ...options, interval: true }));
