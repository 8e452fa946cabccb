// What the command line may say.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { models } from './models.mjs';

const usage = `npm run bench:engine -- [options]
  --quick                small models, 1 and 4 requests, one round: does it run, not how fast
  --models a,b           of ${Object.keys(models).join(', ')} (default: all)
  --concurrency 1,16     requests at once (default: 1,4,16,32)
  --threads 1            compute threads of the main table (default 1); the queue goal is always measured with 2
  --rounds 3             repetitions; medians are reported
  --prompt 32            tokens of a prompt
  --output 64            tokens of an answer
  --only a,f             participants: a b c d e f g (default: all there are)
  --llama-server PATH    also measure this llama-server (or LLAMA_SERVER)
  --cache DIR            where models are kept (default .cache/bench)
  --json FILE            result (default bench-engine.json)`;

/** Ends the process with the usage when an option is unknown or not a number. */
export function readOptions(args = process.argv.slice(2)) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        models: { type: 'string' },
        concurrency: { type: 'string' },
        threads: { type: 'string', default: '1' },
        rounds: { type: 'string' },
        prompt: { type: 'string', default: '32' },
        output: { type: 'string' },
        only: { type: 'string', default: 'a,b,c,d,e,f,g' },
        'llama-server': { type: 'string', default: process.env.LLAMA_SERVER },
        cache: { type: 'string', default: '.cache/bench' },
        json: { type: 'string', default: 'bench-engine.json' },
      },
    });
    const { quick } = values;
    const promptLength = count('prompt', values.prompt);
    const outputTokens = count('output', values.output ?? (quick ? '8' : '64'));
    return {
      quick,
      models: list(values.models ?? (quick ? 'small-32k' : Object.keys(models).join())),
      concurrency: list(values.concurrency ?? (quick ? '1,4' : '1,4,16,32')).map((text) => count('concurrency', text)),
      threads: count('threads', values.threads),
      queueThreads: Math.min(2, availableParallelism()),
      rounds: count('rounds', values.rounds ?? (quick ? '1' : '3')),
      promptLength,
      outputTokens,
      contextSize: Math.ceil((promptLength + outputTokens) / 256) * 256,
      only: list(values.only),
      llamaServer: values['llama-server'],
      cache: values.cache,
      json: values.json,
    };
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

function list(text) {
  return text.split(',').filter(Boolean);
}

function count(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes whole numbers from 1, not ${text}`);
  return value;
}
