// What reading a request body costs: `node test/bench/body-scan.mjs [--json FILE]` after `npm run build:server`. JSON.parse beside it.
import { isUtf8 } from 'node:buffer';
import fs from 'node:fs';
import { outlineChat, parseChatBody, scanBody } from '../../dist/libs/openai/src/index.js';

const head = {
  model: 'assistant',
  temperature: 0.7,
  top_p: 0.95,
  max_tokens: 512,
  stream: true,
  stream_options: { include_usage: true },
  user: 'user-4711',
};
const prose = 'The quick brown fox jumps over the lazy dog, and the dog, which has seen this before, does not get up. ';
const code = 'for (const row of rows) {\n\tconsole.log("row", row.id);\n}\n';
const fill = (text, length) => text.repeat(Math.ceil(length / text.length)).slice(0, length);
const chat = (messages) => Buffer.from(JSON.stringify({ ...head, messages }));

const bodies = {
  '2 KB chat': chat([
    { role: 'system', content: fill(prose, 400) },
    { role: 'user', content: fill(prose, 700) },
    { role: 'assistant', content: fill(prose, 300) },
    { role: 'user', content: fill(prose, 300) },
  ]),
  '50 KB, one message': chat([{ role: 'user', content: fill(prose, 50_000) }]),
  '50 KB, one message of code': chat([{ role: 'user', content: fill(code, 46_000) }]),
  '50 KB, one message, Greek': chat([
    { role: 'user', content: fill('Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ', 27_000) },
  ]),
  '47 KB, 400 turns': chat(Array.from({ length: 400 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: fill(prose, 80) }))),
  '1 MB, one message': chat([{ role: 'user', content: fill(prose, 1_048_576) }]),
};

/** Every byte looked at by plain JavaScript: ends of strings and depth, no grammar, so less than a scanner must do. */
function walk(bytes) {
  let depth = 0;
  for (let i = 0; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (byte === 0x22) {
      for (i += 1; bytes[i] !== 0x22; i += 1) if (bytes[i] === 0x5c) i += 1;
    } else if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
  return depth;
}

const ways = {
  'JSON.parse': (bytes) => JSON.parse(bytes.toString('utf8')),
  'isUtf8 and JSON.parse': (bytes) => isUtf8(bytes) && JSON.parse(bytes.toString('utf8')),
  'walk in JavaScript': walk,
  scanBody: (bytes) => scanBody(bytes).ok,
  'scanBody, parse and schema': (bytes) => scanBody(bytes).ok && parseChatBody(JSON.parse(bytes.toString('utf8'))).ok,
  'scanBody and outline': (bytes) => outlineChat(scanBody(bytes).value).messages.lastWords(4_097),
};

/** Microseconds of one call: the lower quartile, for on a shared machine the rest measures the neighbours. Warmed up until V8 has optimised. */
function microseconds(call, forMs = 250) {
  const warmUntil = performance.now() + forMs;
  let calls = 0;
  const start = performance.now();
  while (performance.now() < warmUntil) {
    call();
    calls += 1;
  }
  const batch = Math.max(1, Math.round((calls * 0.5) / (performance.now() - start)));
  const took = [];
  const until = performance.now() + forMs;
  while (performance.now() < until || took.length < 8) {
    const from = performance.now();
    for (let i = 0; i < batch; i += 1) call();
    took.push(((performance.now() - from) * 1000) / batch);
  }
  return took.sort((a, b) => a - b)[took.length >> 2];
}

const rows = [];
for (const [body, bytes] of Object.entries(bodies)) {
  const cost = {};
  for (const [way, run] of Object.entries(ways)) cost[way] = microseconds(() => run(bytes));
  for (const [way, us] of Object.entries(cost)) rows.push({ body, bytes: bytes.length, way, us, ofParse: us / cost['JSON.parse'] });
}
console.table(rows.map((row) => ({ ...row, us: Number(row.us.toFixed(2)), ofParse: Number(row.ofParse.toFixed(3)) })));
const file = process.argv[process.argv.indexOf('--json') + 1];
if (process.argv.includes('--json') && file) fs.writeFileSync(file, `${JSON.stringify({ node: process.version, rows }, null, 2)}\n`);
