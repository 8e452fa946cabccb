// `npm run bench:engine`: measures Serin's engine against its peers and against the library below it, on models made here.
import { writeFile } from 'node:fs/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { runCase, runScoring, runTurns } from './cases.mjs';
import { judge } from './goals.mjs';
import { ensureModel, models } from './models.mjs';
import { readOptions } from './options.mjs';
import { figuresTable, goalsTable, turnsTable } from './table.mjs';

const options = readOptions();
const queueGoalAt = 16;

const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
const letters = options.only.filter((letter) => letter !== 'e' || options.llamaServer);
const results = [];
const goals = [];

for (const model of options.models) {
  say(`${model}: preparing`);
  const file = await ensureModel(model, options.cache);
  const result = { model, vocabularySize: models[model].vocabularySize, cases: [], queueCase: null, turns: null, scoredTokensPerS: null };
  const attempt = async (what, run) => {
    say(`${model}: ${what}`);
    try {
      return await run();
    } catch (error) {
      say(`${model}: ${what} failed: ${error.message}`);
      process.exitCode = 1;
      return null;
    }
  };
  for (const parallel of options.concurrency) {
    const one = await attempt(
      `${parallel} at once`,
      async () => await runCase({ options, file, letters, parallel, threads: options.threads }),
    );
    if (one) result.cases.push(one);
  }
  if (model.startsWith('300m') && options.queueThreads > 1 && letters.includes('d')) {
    const queue = {
      options,
      file,
      letters: letters.filter((letter) => 'adf'.includes(letter)),
      parallel: queueGoalAt,
      threads: options.queueThreads,
    };
    result.queueCase = await attempt(`${queueGoalAt} at once, ${options.queueThreads} threads`, async () => await runCase(queue));
  }
  if (letters.includes('a')) {
    result.turns = await attempt('turns of a chat', async () => await runTurns({ options, file, threads: options.threads }));
    result.scoredTokensPerS = await attempt('scoring', async () => await runScoring({ options, file, threads: options.threads }));
  }
  results.push(result);
  goals.push(...judge(result));
  // After every model: an interrupted run keeps what it has.
  await writeFile(options.json, `${JSON.stringify({ machine: machine(), options, results, goals }, null, 2)}\n`);
}

console.log(`${figuresTable(results)}\n`);
if (results.some(({ turns }) => turns)) console.log(`${turnsTable(results)}\n`);
for (const { model, scoredTokensPerS } of results) {
  console.log(`${model}: scoring ${scoredTokensPerS === null ? 'not measured' : `${scoredTokensPerS.toFixed(0)} tokens/s`}`);
}
console.log(`\n${goalsTable(goals)}\n\nwritten to ${options.json}`);

function machine() {
  return {
    platform: platform(),
    arch: arch(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    node: process.version,
  };
}
