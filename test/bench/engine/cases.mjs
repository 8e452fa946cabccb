// One case: all participants on one model at one concurrency. They are loaded together and measured in turns, so that a noisy machine is noisy for all.
import { median } from './measure.mjs';
import { Participant } from './process.mjs';
import { requestsOf } from './prompts.mjs';

/** Letters as in the documentation. `run` is what is asked of the process; participants with the same `process` share one. */
export const participants = {
  a: { process: 'serin', run: 'together', title: 'Serin, entropy' },
  b: { process: 'serin-plain', run: 'together', title: 'Serin, no entropy' },
  c: { process: 'node-llama-cpp', run: 'together', title: 'node-llama-cpp' },
  d: { process: 'serin', run: 'oneByOne', title: 'one at a time' },
  e: { process: 'llama-server', run: 'together', title: 'llama-server' },
  f: { process: 'limit', run: 'together', title: 'library limit' },
  g: { process: 'limit-split', run: 'together', title: 'limit, split caches' },
};

const processes = {
  serin: { script: 'serin.mjs', config: { measure: 'exact', prefixCache: true } },
  'serin-plain': { script: 'serin.mjs', config: { measure: 'none', prefixCache: true } },
  'serin-uncached': { script: 'serin.mjs', config: { measure: 'exact', prefixCache: false } },
  'node-llama-cpp': { script: 'node-llama-cpp.mjs', config: {} },
  'llama-server': { script: 'llama-server.mjs', config: {} },
  limit: { script: 'limit.mjs', config: { unified: true } },
  'limit-split': { script: 'limit.mjs', config: { unified: false } },
};

/** More are not asked one after the other: the rate does not depend on it. */
const mostOneByOne = 4;

async function openProcess(name, config) {
  const { script, config: own } = processes[name];
  const participant = new Participant(script);
  try {
    await participant.ask('open', { config: { ...config, ...own } });
    return participant;
  } catch (error) {
    await participant.end();
    throw error;
  }
}

/** Medians over the rounds by letter, and every round's figures for ratios of runs that were neighbours in time. */
export async function runCase({ options, file, letters, parallel, threads }) {
  const config = {
    file,
    parallel,
    threads,
    contextSize: options.contextSize,
    binary: options.llamaServer,
  };
  const opened = new Map();
  const rounds = Object.fromEntries(letters.map((letter) => [letter, []]));
  try {
    for (const name of new Set(letters.map((letter) => participants[letter].process))) opened.set(name, await openProcess(name, config));
    const measure = async (letter, round, outputTokens) => {
      const { process, run } = participants[letter];
      const count = run === 'oneByOne' ? Math.min(parallel, mostOneByOne) : parallel;
      const requests = requestsOf({ count, promptLength: options.promptLength, outputTokens, round });
      return await opened.get(process).ask(run, { ask: { requests } });
    };
    for (const [at, letter] of letters.entries()) await measure(letter, 100 + at, Math.min(4, options.outputTokens));
    for (let round = 0; round < options.rounds; round += 1) {
      // Each round begins with another participant: no one is always the one after the pause.
      for (const [at] of letters.entries()) {
        const letter = letters[(at + round) % letters.length];
        rounds[letter].push(await measure(letter, round * letters.length + at, options.outputTokens));
      }
    }
  } finally {
    for (const participant of opened.values()) await participant.end();
  }
  const medians = Object.fromEntries(letters.map((letter) => [letter, mediansOf(rounds[letter])]));
  return { parallel, threads, medians, rounds };
}

function mediansOf(results) {
  return Object.fromEntries(
    Object.keys(results[0]).map((key) => {
      const values = results.map((result) => result[key]);
      return [key, typeof values[0] === 'string' ? values[0] : median(values.filter((value) => value !== null))];
    }),
  );
}

/** How a conversation grows by 100 tokens a turn. In a chat a part of them is the engine's own answer, which it has evaluated already. */
const growths = { chat: { userTokens: 64, answerTokens: 36 }, prompt: { userTokens: 100, answerTokens: 0 } };

/** Time to the first token by turn, with and without the prefix cache; medians over the rounds. */
export async function runTurns({ options, file, threads }) {
  const count = options.quick ? 2 : 6;
  const rounds = [];
  const config = { file, parallel: 4, threads, contextSize: 768 };
  const cached = await openProcess('serin', config);
  const uncached = await openProcess('serin-uncached', config);
  try {
    for (const one of [cached, uncached]) await one.ask('turns', { ask: { ...growths.prompt, count: 1, chat: 99 } });
    for (const [at, [growth, sizes]] of Object.entries(growths).entries()) {
      for (let round = 0; round < options.rounds; round += 1) {
        const ask = { ...sizes, count, chat: at * options.rounds + round };
        rounds.push({ growth, cached: await cached.ask('turns', { ask }), uncached: await uncached.ask('turns', { ask }) });
      }
    }
  } finally {
    await cached.end();
    await uncached.end();
  }
  return Object.keys(growths).flatMap((growth) => {
    const own = rounds.filter((round) => round.growth === growth);
    return Array.from({ length: count }, (_, at) => {
      const cachedMs = median(own.map((round) => round.cached[at].ttftMs));
      const uncachedMs = median(own.map((round) => round.uncached[at].ttftMs));
      const { cachedTokens } = own[0].cached[at];
      return { growth, turn: at + 1, cachedMs, uncachedMs, gain: uncachedMs / cachedMs, cachedTokens };
    });
  });
}

/** Teacher-forced scoring, tokens per second; null when the engine cannot score. */
export async function runScoring({ options, file, threads }) {
  const engine = await openProcess('serin', { file, parallel: 4, threads, contextSize: 512 });
  try {
    const texts = options.quick ? 1 : 4;
    const ask = async (round) => await engine.ask('score', { ask: { texts, length: 256, round } });
    if ((await ask(99)) === null) return null;
    const results = [];
    for (let round = 0; round < options.rounds; round += 1) results.push((await ask(round)).tokensPerS);
    return median(results);
  } finally {
    await engine.end();
  }
}
