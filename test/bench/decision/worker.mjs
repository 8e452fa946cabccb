// A thread that makes runs: one setting and a range of seeds in, one result per seed out.
import { parentPort } from 'node:worker_threads';
import { runOnce } from './run.mjs';
import { referenceOf } from './serin.mjs';

parentPort.on('message', ({ setting, from, count }) => {
  const scores = referenceOf({ ...setting, seed: 0x5eed + from });
  const results = [];
  for (let seed = from; seed < from + count; seed += 1) results.push(runOnce(setting, seed, scores));
  parentPort.postMessage(results);
});
