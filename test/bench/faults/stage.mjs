// The product as `npm start` runs it, on a data directory of its own, with the bundled models and users that replay the bundled traffic.
import { spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Pool } from 'undici';
import { Admin } from '../../../dist/apps/standalone/src/demo/admin.js';
import { systemClock } from '../../../dist/libs/base/src/index.js';
import { until } from '../gateway/clock.mjs';
import { writeWrongTemplate } from './files.mjs';

const root = resolve(import.meta.dirname, '../../..');

async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

export async function openStage(say) {
  const dir = await mkdtemp(join(tmpdir(), 'serin-faults-'));
  const models = join(dir, 'models');
  await mkdir(models);
  await cp(join(root, 'demo/models'), models, { recursive: true });
  await writeWrongTemplate(join(models, 'demo-support-v1-stable.gguf'), join(models, 'wrong-template.gguf'));
  const [gateway, controller, evaluator] = [await freePort(), await freePort(), await freePort()];
  const child = spawn(process.execPath, [join(root, 'dist/apps/standalone/src/main.js')], {
    env: {
      PATH: process.env.PATH,
      SERIN_DATA_DIR: join(dir, 'data'),
      SERIN_GATEWAY_PORT: String(gateway),
      SERIN_CONTROLLER_PORT: String(controller),
      SERIN_EVALUATOR_PORT: String(evaluator),
      SERIN_MODEL_ROOTS: models,
      SERIN_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = new Promise((done) => child.once('exit', done));
  const gatewayUrl = `http://127.0.0.1:${gateway}`;
  const close = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  try {
    const readKey = async () => (await readFile(join(dir, 'data/admin-key'), 'utf8').catch(() => '')).trim();
    await until(async () => (await readKey()) !== '', 'the first start', 120_000);
    const key = await readKey();
    await until(
      async () => (await fetch(`http://127.0.0.1:${controller}/readyz`).catch(() => null))?.ok === true,
      'the controller',
      60_000,
    );
    say(`Serin runs on ports ${gateway} and ${controller}`);
    return { admin: new Admin(`http://127.0.0.1:${controller}`, key, systemClock), key, gatewayUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Users who ask one question after the other. `kinds`: which kinds of question, all by default; may be changed while they ask. */
export class Users {
  running = true;
  answered = 0;
  failed = 0;
  kinds = null;

  constructor({ gatewayUrl, key, model, prompts, clients }) {
    this.pool = new Pool(gatewayUrl, { connections: clients });
    this.prompts = prompts;
    this.clients = Array.from({ length: clients }, async (_, at) => {
      for (let n = at; this.running; n += clients) {
        const prompt = this.prompts[n % this.prompts.length];
        if (this.kinds === null || this.kinds.includes(prompt.kind)) await this.ask(model, key, prompt);
      }
    });
  }

  async ask(model, key, prompt) {
    try {
      const answer = await this.pool.request({
        method: 'POST',
        path: '/v1/chat/completions',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-serin-class': prompt.kind },
        body: JSON.stringify({ model, messages: prompt.messages, max_tokens: 160 }),
        signal: AbortSignal.timeout(30_000),
      });
      await answer.body.dump();
      if (answer.statusCode === 200) this.answered += 1;
      else this.failed += 1;
    } catch {
      this.failed += 1;
    }
  }

  /** Once or more. */
  async stop() {
    if (!this.running) return;
    this.running = false;
    await Promise.all(this.clients);
    await this.pool.close();
  }
}

export async function bundledPrompts() {
  const text = await readFile(join(root, 'demo/traffic.jsonl'), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line));
}

export const testSet = async () => await readFile(join(root, 'demo/testset.jsonl'), 'utf8');
