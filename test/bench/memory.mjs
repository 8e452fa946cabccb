// Holds the estimate of memory-need.ts against reality: each model is loaded and fed a full batch in a process of its own, and what it holds is compared.
// npm run build:server && node test/bench/memory.mjs [--context N] [--parallel N] [FILE.gguf ...]
import { fork } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const limitMs = 120_000;
const self = fileURLToPath(import.meta.url);
const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);

/** Resident bytes, and those of them that belong to no file: pages of a mapped file can be dropped at any time. */
function resident() {
  const [, pages, shared] = readFileSync('/proc/self/statm', 'utf8').split(' ').map(Number);
  return { rssBytes: pages * 4096, privateBytes: (pages - shared) * 4096 };
}

async function child({ file, contextSize, parallel, batchTokens }) {
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp');
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: 1 });
  const before = resident();
  const model = await llama.loadModel({ modelPath: file, gpuLayers: 0 });
  const loaded = resident();
  const context = await model.createContext({ contextSize, sequences: parallel, batchSize: batchTokens, threads: 1 });
  const sequence = context.getSequence();
  // A whole batch and a step more: every buffer has been written to.
  const tokens = Array.from({ length: Math.min(batchTokens, contextSize - 2) }, (_, index) => index % 50);
  await sequence.evaluateWithoutGeneratingNewTokens(tokens);
  for await (const _ of sequence.evaluate([1], { temperature: 0 })) break;
  process.send({ before, loaded, used: resident() });
  process.exit(0);
}

function measure(request) {
  return new Promise((done, failed) => {
    const running = fork(self, ['--child'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const late = setTimeout(() => running.kill('SIGKILL'), limitMs);
    running.once('message', done);
    running.once('exit', (code, signal) => {
      clearTimeout(late);
      failed(new Error(`${basename(request.file)}: the process ended with ${signal ?? code}`));
    });
    running.send(request);
  });
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { context: { type: 'string', default: '1024' }, parallel: { type: 'string', default: '4' } },
  });
  const { readGgufHeader } = await import('../../dist/libs/engine/src/gguf/header.js');
  const { memoryNeed, usualPlan } = await import('../../dist/libs/engine/src/native/memory-need.js');
  const models = fileURLToPath(new URL('../../demo/models', import.meta.url));
  const demo = readdirSync(models).filter((name) => name.endsWith('.gguf') && !name.includes('lora'));
  const files = positionals.length > 0 ? positionals : demo.map((name) => join(models, name));
  const rows = [];
  for (const file of files) {
    const header = await readGgufHeader(file);
    if (!header.ok) throw new Error(`${file}: ${header.fault.message}`);
    const contextSize = Number(values.context);
    const parallel = Number(values.parallel);
    // The batch asks for one position's logits, and pages that nobody writes to are not resident.
    const plan = { ...usualPlan({ contextSize, parallel, gpuLayers: 0 }), logitRows: 1, fullWindow: false };
    const need = memoryNeed(header.value, plan);
    const { before, loaded, used } = await measure({ file, contextSize, parallel, batchTokens: plan.batchTokens });
    rows.push({
      model: basename(file, '.gguf'),
      'process predicted': mib(need.host.process),
      'process, before the model': mib(before.rssBytes),
      'weights predicted': mib(need.host.weights),
      'resident by loading': mib(loaded.rssBytes - before.rssBytes),
      'cache predicted': mib(need.host.cache),
      'buffers predicted': mib(need.host.buffers),
      'resident by use': mib(used.rssBytes - loaded.rssBytes),
      'all predicted': mib(need.hostBytes),
      'ceiling predicted': mib(need.residentBytes),
      'resident in the end': mib(used.rssBytes),
      'private in the end': mib(used.privateBytes),
      'predicted / resident': (need.hostBytes / used.rssBytes).toFixed(2),
    });
  }
  console.table(rows);
}

if (process.argv.includes('--child')) process.once('message', (request) => void child(request));
else await main();
