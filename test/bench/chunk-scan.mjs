// What reading a streamed chunk costs the relay: `node test/bench/chunk-scan.mjs [--json FILE]` after `npm run build:server`. JSON.parse beside it.
import fs from 'node:fs';
import { readChunk } from '../../dist/libs/engine/src/http/chunk.js';
import { readLogprobs, uncertaintyOf } from '../../dist/libs/engine/src/http/logprobs.js';
import { ChunkScan } from '../../dist/libs/engine/src/http/relay/chunk-scan.js';
import { EventScan } from '../../dist/libs/engine/src/http/relay/event-scan.js';
import { LogprobScan } from '../../dist/libs/engine/src/http/relay/logprob-scan.js';
import { StreamReader } from '../../dist/libs/engine/src/http/relay/stream-reader.js';

const head = {
  id: 'chatcmpl-0123456789abcdef',
  object: 'chat.completion.chunk',
  created: 1_764_000_000,
  model: 'Qwen/Qwen2.5-7B-Instruct',
};
const chunk = (logprobs) => ({ ...head, choices: [{ index: 0, delta: { content: ' there' }, logprobs, finish_reason: null }] });
const likely = Array.from({ length: 20 }, (_, rank) => ({
  token: ` word${rank}`,
  logprob: Math.fround(Math.log(0.4 * 0.6 ** rank)),
  bytes: [...Buffer.from(` word${rank}`)],
}));
const top20 = { content: [{ ...likely[1], top_logprobs: likely }] };

/** A chunk as it comes: an event in a block of its own. Several copies, for one would live in the nearest cache. */
const blocksOf = (json) => Array.from({ length: 64 }, () => Buffer.from(`data: ${JSON.stringify(json)}\n\n`));
const blocks = { plain: blocksOf(chunk(null)), top20: blocksOf(chunk(top20)) };

const wishes = {
  endpoint: 'chat/completions',
  choices: 1,
  askedTop: null,
  clientTop: null,
  bounds: false,
  withUsage: false,
  modelShown: head.model,
  facts: { endMark: true, usageInStreams: true, vocabularySize: 152_064 },
  secret: undefined,
  mostBytes: Number.MAX_SAFE_INTEGER,
};
const sampled = { ...wishes, askedTop: 20, bounds: true };

function scanning(logprobs) {
  const events = new EventScan(Number.MAX_SAFE_INTEGER);
  const scan = new ChunkScan(logprobs);
  return (block) => {
    events.feed(block);
    if (!events.next() || !scan.scan(block, events.dataFrom, events.dataTo)) throw new Error('off the pattern');
    return scan.count;
  };
}

function reading(wanted) {
  const reader = new StreamReader(wanted);
  return (block) => reader.push(block, 0).output.length;
}

function parsing(block) {
  const read = readChunk(block.toString('utf8', 6, block.length - 2));
  return read.chunk.choices.length;
}

function measuring(block) {
  const read = readChunk(block.toString('utf8', 6, block.length - 2));
  return uncertaintyOf(readLogprobs(read.chunk.choices[0].logprobs, 20)[0], 152_064).lowerNats;
}

function recasting(block) {
  const json = JSON.parse(block.toString('utf8', 6, block.length - 2));
  json.model = 'support';
  for (const choice of json.choices) choice.logprobs = null;
  return Buffer.from(`data: ${JSON.stringify(json)}\n\n`).length;
}

const rows = [
  ['plain', 'event and chunk scan', scanning(null), 400],
  ['plain', 'stream reader, nothing to change', reading(wishes)],
  ['plain', 'stream reader, model name spliced', reading({ ...wishes, modelShown: 'support' })],
  ['plain', 'JSON.parse and reading', parsing],
  ['plain', 'JSON.parse, change, stringify', recasting],
  [
    'top20',
    'event and chunk scan, entropy',
    scanning(new LogprobScan({ askedTop: 20, clientTop: null, bounds: true, vocabularySize: 152_064 })),
  ],
  ['top20', 'stream reader: scan, entropy, cut, name', reading({ ...sampled, modelShown: 'support' }), 4_000],
  ['top20', 'stream reader, client keeps 5', reading({ ...sampled, clientTop: 5 })],
  ['top20', 'JSON.parse and reading', parsing],
  ['top20', 'JSON.parse, entropy', measuring],
  ['top20', 'JSON.parse, change, stringify', recasting],
];

/** Nanoseconds per call: the lower quartile of rounds, for on a shared machine the rest measures the neighbours. */
function nanoseconds(call, list, forMs = 400) {
  let kept = 0;
  const round = () => {
    for (let turn = 0; turn < 4; turn += 1) for (const block of list) kept += call(block);
  };
  const warmUntil = performance.now() + forMs;
  while (performance.now() < warmUntil) round();
  const took = [];
  const until = performance.now() + forMs;
  while (performance.now() < until) {
    const start = performance.now();
    round();
    took.push(((performance.now() - start) * 1e6) / (4 * list.length));
  }
  if (Number.isNaN(kept)) throw new Error('nothing was measured');
  return took.sort((a, b) => a - b)[took.length >> 2];
}

const results = rows.map(([name, step, call, goalNs = null]) => ({
  chunk: `${name}, ${blocks[name][0].length} B`,
  step,
  ns: Math.round(nanoseconds(call, blocks[name])),
  goalNs,
}));
console.table(results);
const file = process.argv.indexOf('--json');
if (file > 0) fs.writeFileSync(process.argv[file + 1], `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
