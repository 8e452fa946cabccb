// The loads, and how one round of a case is run: everybody once, each time beginning with another one.

import { median } from '../engine/measure.mjs';
import { encode } from './load/wire.mjs';
import { titles, variants } from './participants.mjs';
import { chat } from './requests.mjs';

const firstWarmFactor = 10;
const everybody = ['direct', 'node-http', 'undici', 'nest', 'portkey', 'serin'];

/** `rows`: the goals that need it. `ask`: what the request differs in. */
export const cases = [
  { id: '2k-64', title: '2 KB, 64 connections', rows: [1, 3], connections: 64, ask: { model: 'chat' }, who: everybody },
  { id: '50k-64', title: '50 KB, 64 connections', rows: [2], connections: 64, ask: { model: 'chat', bytes: 50 << 10 }, who: everybody },
  { id: '2k-1', title: '2 KB, 1 connection', rows: [], connections: 1, ask: { model: 'chat' }, who: everybody },
  { id: '2k-512', title: '2 KB, 512 connections', rows: [], connections: 512, ask: { model: 'chat' }, who: everybody },
  {
    id: 'stream-32',
    title: 'streams of 64 chunks, 32 at once',
    rows: [],
    connections: 32,
    ask: { model: 'chat', stream: true },
    who: everybody,
  },
  {
    id: 'logprobs-32',
    title: 'streams with top-20 log probabilities, 32 at once',
    rows: [5],
    connections: 32,
    ask: { model: 'chat', use: 'logprobs', stream: true, topLogprobs: 20 },
    who: [...everybody, 'serin-share-0', 'serin-cut', 'serin-cut-share-0'],
  },
  {
    id: 'paced-128',
    title: 'streams paced at 10 ms, 128 at once',
    rows: [6],
    connections: 128,
    ask: { model: 'paced', stream: true },
    who: everybody,
  },
  {
    id: 'paced-384',
    title: 'streams paced at 10 ms, 384 at once',
    rows: [4],
    connections: 384,
    ask: { model: 'paced', stream: true },
    who: everybody,
  },
];

function requestOf(participant, { ask }, own = {}) {
  const { use, ...wanted } = { ...ask, ...own.ask };
  const model = (own.models ?? participant.models)[use] ?? wanted.model;
  return encode({ path: participant.path, headers: participant.headers, body: chat({ ...wanted, model }) }).toString('base64');
}

/** Resolves to rounds by participant. */
export async function runCase({ one, open, generator, rounds, warmMs, windowMs, say }) {
  const names = one.who.filter((name) => open[variants[name]?.of ?? name]);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length];
      const variant = variants[name];
      const participant = open[variant?.of ?? name];
      const result = await generator.ask('measure', {
        port: participant.port,
        pid: participant.pid,
        request: requestOf(participant, one, variant),
        connections: one.connections,
        stream: one.ask.stream === true,
        // The first time its code is still being compiled.
        warmMs: round === 0 ? warmMs * firstWarmFactor : warmMs,
        windowMs,
      });
      if (result.failed > 0) say(`${one.title}: ${titles[name]}: ${result.failed} failed: ${JSON.stringify(result.causes)}`);
      results[name].push(result);
    }
  }
  return results;
}

const columns = [
  'requestsPerS',
  'eventsPerS',
  'cpuUsPerRequest',
  'cpuUsPerEvent',
  'busy',
  'latencyP50Ms',
  'latencyP99Ms',
  'firstP50Ms',
  'firstP99Ms',
  'rssMb',
  'failed',
];

/** Medians over the rounds, column by column. */
export function medians(rounds) {
  return Object.fromEntries(
    Object.entries(rounds).map(([name, results]) => [
      name,
      Object.fromEntries(
        columns.map((column) => [column, median(results.map((result) => result[column]).filter((value) => value !== null))]),
      ),
    ]),
  );
}
